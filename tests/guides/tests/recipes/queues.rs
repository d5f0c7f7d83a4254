//! The metrics of queues.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::advance;
use tower_prometheus::Registry;

use crate::queue::queue;
use crate::{Page, scrape};

fn of_queue(page: &Page, name: &str, queue: &str) -> f64 {
    page[&format!("{name}{{queue=\"{queue}\"}}")]
}

fn processed(registry: &Registry, outcome: &str) -> f64 {
    let labels = [("queue", "mails"), ("outcome", outcome)];
    registry.sum("queue_items_total", &labels).unwrap()
}

#[tokio::test(start_paused = true)]
async fn length_and_age_of_the_oldest_item_follow_the_queue() {
    let registry = Registry::new();
    let (sender, mut receiver) = queue(&registry, "mails", 10).unwrap();
    queue::<u32>(&registry, "prints", 5).unwrap();
    let state = async || {
        let page = scrape(&registry).await;
        assert_eq!(of_queue(&page, "queue_capacity", "mails"), 10.0);
        assert_eq!(of_queue(&page, "queue_capacity", "prints"), 5.0);
        assert_eq!(of_queue(&page, "queue_length", "prints"), 0.0);
        let length = of_queue(&page, "queue_length", "mails");
        (
            length,
            of_queue(&page, "queue_oldest_item_age_seconds", "mails"),
        )
    };
    assert_eq!(state().await, (0.0, 0.0));
    sender.send("a").await.unwrap();
    advance(Duration::from_secs(30)).await;
    sender.send("b").await.unwrap();
    advance(Duration::from_secs(10)).await;
    assert_eq!(state().await, (2.0, 40.0));
    let item = receiver
        .process(async |item| Ok::<_, Infallible>(item))
        .await;
    assert_eq!(item, Some(Ok("a")));
    assert_eq!(state().await, (1.0, 10.0));
    receiver
        .process(async |item| Ok::<_, Infallible>(item))
        .await;
    assert_eq!(state().await, (0.0, 0.0));
}

#[tokio::test]
async fn processed_items_are_counted_by_outcome() {
    let registry = Registry::new();
    let (sender, mut receiver) = queue(&registry, "mails", 10).unwrap();
    assert_eq!(processed(&registry, "error"), 0.0);
    for item in [Ok(1), Err("full"), Ok(3)] {
        sender.send(item).await.unwrap();
    }
    drop(sender);
    let in_progress = || registry.sum("queue_items_in_progress", &[("queue", "mails")]);
    // In a task of its own, as in a service.
    let receiving = tokio::spawn(async move {
        let mut results = Vec::new();
        while let Some(result) = receiver.process(async |item| item).await {
            results.push(result);
        }
        results
    });
    assert_eq!(receiving.await.unwrap(), [Ok(1), Err("full"), Ok(3)]);
    assert_eq!(processed(&registry, "success"), 2.0);
    assert_eq!(processed(&registry, "error"), 1.0);
    assert_eq!(in_progress(), Some(0.0));
    let page = scrape(&registry).await;
    assert_eq!(
        of_queue(&page, "queue_item_duration_seconds_count", "mails"),
        3.0
    );
}

#[tokio::test(start_paused = true)]
async fn items_of_a_receiver_that_panicked_keep_ageing() {
    let registry = Registry::new();
    let (sender, mut receiver) = queue(&registry, "mails", 10).unwrap();
    sender.send(1).await.unwrap();
    sender.send(2).await.unwrap();
    let receiving = tokio::spawn(async move {
        receiver
            .process(async |item| match item {
                1 => panic!("the first item"),
                _ => Ok::<_, Infallible>(()),
            })
            .await
    });
    assert!(receiving.await.unwrap_err().is_panic());
    assert_eq!(processed(&registry, "panicked"), 1.0);
    advance(Duration::from_secs(90)).await;
    let page = scrape(&registry).await;
    assert_eq!(of_queue(&page, "queue_length", "mails"), 1.0);
    assert_eq!(
        of_queue(&page, "queue_oldest_item_age_seconds", "mails"),
        90.0
    );
    assert!(sender.send(3).await.is_err());
}
