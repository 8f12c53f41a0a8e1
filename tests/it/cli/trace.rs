//! What `jobctl trace` shows of a correlation id.

use metachat_jobs::cli::Exit;
use serde_json::json;

use super::commands::Desk;

#[tokio::test]
async fn everything_of_an_id_is_shown_in_order_and_another_tenants_is_not() {
    let desk = Desk::new().await;
    for name in ["Ada", "Bob"] {
        let args = json!({"name": name}).to_string();
        let more = ["--correlation", "order-7", "--tenant", "acme"];
        let args = [&["enqueue", "greet", &args], &more[..]].concat();
        assert_eq!(desk.run(&args).await.exit, Exit::Done);
    }
    let shown = desk.run(&["trace", "order-7"]).await;
    assert_eq!(shown.exit, Exit::Done, "{}", shown.err);
    assert_eq!(shown.out.matches("greet").count(), 2, "{}", shown.out);

    let followed = desk.json(&["trace", "order-7", "--tenant", "acme"]).await;
    let entries = followed["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{followed}");
    assert_eq!(entries[0]["what"], "job");
    assert!(entries[0]["at"].as_str() <= entries[1]["at"].as_str());

    let nobodys = desk.run(&["trace", "order-7", "--tenant", "other"]).await;
    assert_eq!(nobodys.exit, Exit::NotFound);
    assert!(nobodys.err.contains("order-7"), "{}", nobodys.err);
}
