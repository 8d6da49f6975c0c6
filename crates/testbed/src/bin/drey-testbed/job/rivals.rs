//! Two updates of one job that begin at the same moment. Refuses to know which of them wins.

use std::process::Stdio;

use anyhow::{Result, ensure};

use super::{Story, as_str};

/// How `drey` ends when something else happens already.
const CONFLICT: i32 = 5;

impl Story {
    /// One of them wins, the other says so, and wins when it is run again.
    pub(super) fn two_at_once(&mut self) -> Result<()> {
        let old = self.only()?;
        let mut rivals = Vec::new();
        for _ in 0..2 {
            self.rate += 1;
            let words = self.update_words(&[]);
            let mut command = self.command(&self.drey, &as_str(&words));
            rivals.push((command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?, words, self.rate));
        }
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        for (rival, words, rate) in rivals {
            let output = rival.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) => winners.push(String::from_utf8(output.stdout)?.trim().to_owned()),
                code => losers.push((code, said, words, rate)),
            }
        }
        ensure!(winners.len() == 1, "{} have won: {losers:?}", winners.len());
        let won = self.only()?;
        ensure!(winners == [won.clone()] && won != old, "{won} runs, and not {winners:?}");
        self.grows()?;
        for (code, said, words, rate) in losers {
            println!("          {}", said.lines().rev().take(3).collect::<Vec<_>>().join("\n          "));
            ensure!(
                code == Some(CONFLICT)
                    && said.contains("another update of the same job")
                    && said.contains("run the same command again"),
                "the loser ended with {code:?}: {said}"
            );
            self.rate = rate;
            let now = self.ok(&as_str(&words))?;
            ensure!(self.only()? == now && now != won, "{now} does not follow {won}");
        }
        self.grows()
    }
}
