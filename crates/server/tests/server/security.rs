//! Hostile requests, and what each is answered.

use drey_server::{Access, Persons};
use reqwest::Method;
use reqwest::header::{COOKIE, HOST, ORIGIN};
use serde_json::{Value, json};

use crate::world::{Setup, TOKEN, World};

#[tokio::test]
async fn nobody_comes_in_without_the_token() {
    let world = World::start(Setup::default()).await;
    for path in [
        "api/v1/fleet",
        "api/v1/session",
        "api/v1/stream",
        "api/v1/ns/default/flinkdeployments/a",
        "jobs",
        "config",
    ] {
        let answer = world.stranger(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let with = world.stranger(Method::GET, path).bearer_auth("guess").send().await.unwrap();
        assert_eq!(with.status(), 401, "{path}");
    }
    let signed_in = world.stranger(Method::GET, &format!("?token={TOKEN}&q=x")).send().await.unwrap();
    assert_eq!(
        (signed_in.status().as_u16(), &signed_in.headers()["location"]),
        (303, &"/?q=x".parse().unwrap())
    );
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let inside = world.stranger(Method::GET, "api/v1/fleet").header(COOKIE, pair).send().await.unwrap();
    assert_eq!(inside.status(), 200);
    let wrong = world.stranger(Method::GET, "?token=guess").send().await.unwrap();
    assert!(wrong.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let elsewhere =
        world.stranger(Method::GET, &format!("/evil.example/?token={TOKEN}")).send().await.unwrap();
    assert!(!elsewhere.headers()["location"].to_str().unwrap().starts_with("//"));
}

#[tokio::test]
async fn names_that_are_not_ours_and_foreign_pages_are_refused() {
    let world = World::start(Setup::default()).await;
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""] {
        let answer = world.ask(Method::GET, "api/v1/fleet").header(HOST, host).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{host}: {}", answer.status());
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:9"] {
        let answer = world.ask(Method::GET, "api/v1/fleet").header(HOST, host).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
    }
    world.deployment("a", 1).await;
    let path = "api/v1/ns/default/flinkdeployments/a/actions/suspend";
    let body = json!({ "dryRun": true });
    let bare = world.stranger(Method::POST, path).bearer_auth(TOKEN).json(&body).send().await.unwrap();
    assert_eq!(bare.status(), 403);
    let foreign =
        world.ask(Method::POST, path).header(ORIGIN, "http://evil.example").json(&body).send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    let form =
        world.ask(Method::POST, path).header("content-type", "text/plain").body("{}").send().await.unwrap();
    assert_eq!(form.status(), 415);
}

#[tokio::test]
async fn a_dashboard_that_only_shows_changes_nothing() {
    let reason = "this dashboard only shows".to_owned();
    let world = World::start(Setup { access: Access::ReadOnly { reason }, ..Setup::default() }).await;
    world.deployment("a", 1).await;
    let session =
        world.stranger(Method::GET, "api/v1/session").send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(
        (&session["readOnly"], &session["readOnlyReason"]),
        (&json!(true), &json!("this dashboard only shows"))
    );
    for path in ["actions/suspend", "actions/delete", "edit"] {
        let path = format!("api/v1/ns/default/flinkdeployments/a/{path}");
        let (status, answer) = world.post(&path, &json!({ "confirm": "a" })).await;
        assert_eq!((status, &answer["error"]["kind"]), (403, &json!("readOnly")), "{path}");
    }
    let detail = world.get("api/v1/ns/default/flinkdeployments/a").await;
    assert!(detail["actions"].as_array().unwrap().iter().all(|action| action["allowed"] == false));
}

#[tokio::test]
async fn every_answer_tells_browsers_to_load_nothing_from_elsewhere() {
    let world = World::start(Setup::default()).await;
    for path in ["", "api/v1/fleet", "ns/a/b/c", "assets/none.js"] {
        let answer = world.stranger(Method::GET, path).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'self'"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn signing_in_makes_a_cookie_that_no_script_reads_and_signing_out_ends_it() {
    let world = World::start(Setup::default()).await;
    let sign_in = async |token: &str| {
        let request = world.stranger(Method::POST, "api/v1/sign-in").header("x-drey", "1");
        request.json(&json!({ "token": token })).send().await.unwrap()
    };
    for token in ["guess", "", &format!("{TOKEN}; Path=/"), "a\r\nb"] {
        let answer = sign_in(token).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("set-cookie")), (401, None), "{token}");
    }
    let answer = sign_in(&format!(" {TOKEN}\n")).await;
    assert_eq!(answer.status(), 204);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let inside = world.stranger(Method::GET, "api/v1/session").header(COOKIE, pair).send().await.unwrap();
    assert_eq!(inside.status(), 200);
    let out = world.stranger(Method::POST, "api/v1/sign-out").header("x-drey", "1").send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let foreign = world.stranger(Method::POST, "api/v1/sign-in").json(&json!({ "token": TOKEN }));
    assert_eq!(foreign.send().await.unwrap().status(), 403, "only its own page signs somebody in");
}

#[tokio::test]
async fn what_a_stranger_says_of_himself_does_not_count() {
    let nowhere = || Persons::of(kube::Config::new("http://127.0.0.1:9".parse().unwrap()));
    let of_proxy = |trusted: &[&str]| {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Access::Proxy { persons: nowhere(), trusted }
    };
    for (access, status) in [
        (of_proxy(&["10.0.0.0/8"]), 401),
        // The proxy is believed, and the API server has to know whom it names.
        (of_proxy(&["127.0.0.1/32"]), 503),
        (Access::ClusterToken(nowhere()), 401),
    ] {
        let what = format!("{access:?}");
        let world = World::unwatched(Setup { access, ..Setup::default() }).await;
        for path in ["api/v1/fleet", "api/v1/session", "api/v1/stream", "jobs"] {
            let request = world.stranger(Method::GET, path).header("x-forwarded-user", "admin");
            let answer = request.header("x-forwarded-groups", "ops").send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{what} {path}");
        }
        let reserved = world.stranger(Method::GET, "api/v1/fleet").header("x-forwarded-user", "system:admin");
        assert!(matches!(reserved.send().await.unwrap().status().as_u16(), 401 | 403), "{what}");
    }
}
