//! The window of rows, and Heimdall's list.

use drey_server::FleetKind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Setup, World};

fn names(fleet: &Value) -> Vec<&str> {
    fleet["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn rows_are_found_sorted_and_counted() {
    let world = World::start(Setup::default()).await;
    for (name, parallelism) in [("b", 2), ("a", 4), ("c", 1)] {
        world.deployment(name, parallelism).await;
    }
    world
        .set_status("c", json!({ "lifecycleState": "FAILED", "observedGeneration": 1, "error": "it broke" }))
        .await;
    world
        .create(
            FleetKind::SessionJob,
            "job",
            json!({ "spec": { "deploymentName": "b", "job": { "parallelism": 1 } } }),
        )
        .await;
    world.until("api/v1/fleet", |fleet| fleet["total"] == 4 && fleet["summary"]["failing"] == 1).await;
    assert_eq!(names(&world.get("api/v1/fleet").await)[0], "c", "failing first");
    assert_eq!(names(&world.get("api/v1/fleet?sort=name").await), ["a", "b", "job", "c"]);
    assert_eq!(names(&world.get("api/v1/fleet?sort=-parallelism&q=type:app").await), ["a", "b", "c"]);
    let window = world.get("api/v1/fleet?sort=name&offset=1&limit=2").await;
    assert_eq!((names(&window), &window["matched"]), (vec!["b", "job"], &json!(4)));
    let broken = world.get("api/v1/fleet?q=it%20broke").await;
    assert_eq!((names(&broken), &broken["rows"][0]["health"]), (vec!["c"], &json!("failing")));
    let refused = world.ask(Method::GET, "api/v1/fleet?sort=colour").send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let table =
        world.ask(Method::GET, "api/v1/fleet.csv?sort=name").send().await.unwrap().text().await.unwrap();
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with("default,flinkdeployments,a,"), "{table}");
}

#[tokio::test]
async fn one_resource_is_told_in_depth_without_its_secrets() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    world
        .set_status(
            "a",
            json!({ "lifecycleState": "STABLE", "observedGeneration": 1,
        "jobStatus": { "state": "RUNNING", "jobId": "0123456789abcdef0123456789abcdef" } }),
        )
        .await;
    let detail = world.get("api/v1/ns/default/flinkdeployments/a").await;
    assert_eq!(detail["row"]["health"], "healthy");
    assert_eq!(detail["links"], json!([{ "name": "Metrics", "url": "https://metrics/default/a" }]));
    let yaml = world.get("api/v1/ns/default/flinkdeployments/a/yaml").await;
    assert!(
        yaml["yaml"].as_str().unwrap().contains("s3.secret-key: '******'")
            || yaml["yaml"].as_str().unwrap().contains("\"******\""),
        "{yaml}"
    );
    assert!(!yaml.to_string().contains("very-hidden") && !detail.to_string().contains("very-hidden"));
    assert_eq!(yaml["masked"], json!(["spec.flinkConfiguration.s3.secret-key"]));
    let timeline = world.get("api/v1/ns/default/flinkdeployments/a/timeline").await;
    assert!(timeline["items"].as_array().unwrap().iter().any(|item| item["title"] == "Created"));
    for (path, status) in [
        ("api/v1/ns/default/flinkdeployments/b", 404),
        ("api/v1/ns/default/pods/a", 404),
        ("api/v1/ns/default/flinkdeployments/..%2f..", 404),
        ("api/v1/ns/default/flinkdeployments/a/checkpoints", 503),
        ("api/v1/nothing", 404),
    ] {
        let answer = world.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["error"]["message"].is_string(), "{path}: {body}");
    }
}

#[tokio::test]
async fn heimdalls_front_end_finds_what_it_knows() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    let jobs = world.get("jobs").await;
    assert_eq!(
        (&jobs[0]["name"], &jobs[0]["status"], &jobs[0]["shortImage"]),
        (&json!("a"), &json!("UNKNOWN"), &json!("team/app:1"))
    );
    assert_eq!(world.get("config").await["patterns"]["display-name"], "$jobName");
    for path in ["q/health/live", "q/health/ready"] {
        let answer = world.stranger(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["status"], "UP");
    }
}

#[tokio::test]
async fn everything_is_served_below_a_base_path() {
    let world = World::start(Setup { base_path: "/flink/", ..Setup::default() }).await;
    world.deployment("a", 1).await;
    world.until("api/v1/fleet", |fleet| fleet["total"] == 1).await;
    let page = world.stranger(Method::GET, "ns/default/flinkdeployments/a").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<base href=\"/flink/\">"));
    let signed_in = world.stranger(Method::GET, "?token=let-me-in").send().await.unwrap();
    assert_eq!(signed_in.headers()["location"], "/flink/");
    assert!(signed_in.headers()["set-cookie"].to_str().unwrap().contains("Path=/flink/;"));
}

#[tokio::test]
async fn a_log_is_text_whatever_stands_in_it() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 1).await;
    let base = "api/v1/ns/default/flinkdeployments/a";
    let processes = world.get(&format!("{base}/processes")).await;
    assert_eq!(
        (&processes["items"][0]["id"], &processes["items"][0]["role"]),
        (&json!("jobmanager"), &json!("jobmanager"))
    );
    let end = world.ask(Method::GET, &format!("{base}/logs/jobmanager?bytes=5")).send().await.unwrap();
    assert_eq!(
        (&end.headers()["x-log-truncated"], &end.headers()["content-type"]),
        (&"true".parse().unwrap(), &"text/plain; charset=utf-8".parse().unwrap())
    );
    assert_eq!(end.text().await.unwrap(), "last\n");
    let all = world.ask(Method::GET, &format!("{base}/logs/jobmanager?download=true")).send().await.unwrap();
    assert_eq!(all.headers()["content-disposition"], "attachment; filename=\"a-jobmanager.log\"");
    assert_eq!(&all.bytes().await.unwrap()[..], crate::world::LOG);
    let stream = world
        .ask(Method::GET, &format!("{base}/logs/jobmanager/stream"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(stream.contains("event: lines") && stream.contains("<script>"), "{stream}");
    for process in ["taskmanager", "..%2f..%2fetc%2fpasswd"] {
        let answer = world.ask(Method::GET, &format!("{base}/logs/{process}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{process}");
    }
}
