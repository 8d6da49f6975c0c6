//! A name server that knows one thing: the Services of JobManagers, `<cluster>-rest.<namespace>`, all have the address
//! of the fake ones. Operators that run beside it, and not in pods, so reach JobManagers by the names of a cluster.
//!
//! It answers over UDP, one question at a time, and refuses to know any other record than A.

use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

/// How names of these Services end before their first dot.
const SUFFIX: &[u8] = b"-rest";
/// Length of a message's header in bytes.
const HEADER_LEN: usize = 12;
/// Longest question that is read, in bytes; what resolvers send is far shorter.
const MESSAGE_BYTES_MAX: usize = 1_500;
/// Type and class of an address.
const A_IN: [u8; 4] = [0, 1, 0, 1];
/// How long an answer may be kept, in seconds; that of a cluster's DNS.
const TTL_SECONDS: u8 = 30;

/// Answers for ever.
pub(super) async fn serve(socket: UdpSocket, address: Ipv4Addr) {
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    loop {
        // What cannot be read or answered is asked again by the resolver.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = answer(&buffer[..length], address) {
            let _asked_again = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a question; `None` when it is none.
fn answer(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let header = query.get(..HEADER_LEN)?;
    let is_question = header[2] & 0xF8 == 0 && header[4..6] == [0, 1];
    let first_len = usize::from(*query.get(HEADER_LEN)?);
    let first = query.get(HEADER_LEN + 1..HEADER_LEN + 1 + first_len)?;
    let end = end_of_name(query)?;
    let question = query.get(HEADER_LEN..end + A_IN.len())?;
    if !is_question {
        return None;
    }
    let is_known = first.ends_with(SUFFIX);
    let has_answer = is_known && question.ends_with(&A_IN);
    let mut answer = vec![header[0], header[1]];
    // An authoritative response, recursion as it was asked for; without an error, or "no such name".
    answer.extend([0x84 | (header[2] & 1), if is_known { 0 } else { 3 }]);
    answer.extend([0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
    answer.extend(question);
    if has_answer {
        // The name of the question, by its place.
        answer.extend([0xC0, 12]);
        answer.extend(A_IN);
        answer.extend([0, 0, 0, TTL_SECONDS, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// Where the name ends that begins after the header.
fn end_of_name(query: &[u8]) -> Option<usize> {
    let mut at = HEADER_LEN;
    loop {
        match query.get(at)? {
            0 => return Some(at + 1),
            // Questions hold no pointers.
            length @ 1..=63 => at += usize::from(*length) + 1,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut query = vec![7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        query
    }

    #[test]
    fn services_of_jobmanagers_have_one_address() {
        let address = Ipv4Addr::new(10, 1, 2, 3);
        let found = answer(&question("job-1-rest.default", 1), address).unwrap();
        assert_eq!(found[..4], [7, 8, 0x85, 0]);
        assert_eq!(found[found.len() - 4..], [10, 1, 2, 3]);
        let of_another_type = answer(&question("job-1-rest.default", 28), address).unwrap();
        assert_eq!((of_another_type[3], of_another_type[7]), (0, 0));
        let unknown = answer(&question("example.org", 1), address).unwrap();
        assert_eq!((unknown[3], unknown[7]), (3, 0));
    }

    #[test]
    fn what_is_no_question_has_no_answer() {
        let whole = question("job-1-rest.default", 1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], Ipv4Addr::LOCALHOST), None, "{length}");
        }
        let mut response = whole;
        response[2] |= 0x80;
        assert_eq!(answer(&response, Ipv4Addr::LOCALHOST), None);
    }
}
