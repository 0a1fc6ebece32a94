//! What is said.

use std::error::Error as _;

use pgcdc::{Checkpoint, CheckpointStore, ConnectConfig, Error, Refusal, StreamConfig};
use tracing::Level;

use crate::fake::{Act, Fake};
use crate::live::{available, next, Database};
use crate::log::Log;
use crate::look::tables;

#[tokio::test]
async fn notices() {
    if !available() {
        return;
    }
    let (log, _guard) = Log::start(Level::WARN);
    let db = tables("notices").await;
    let mut sql = db.another().await;
    sql.query("DO $$BEGIN RAISE WARNING 'look out' USING DETAIL = 'a wall', HINT = 'stop'; END$$")
        .await
        .unwrap();
    let said = log.with("look out");
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("a wall") && said[0].contains("stop"), "{said:?}");
    sql.close().await;
    db.drop().await;
}

#[tokio::test]
async fn detail_hint() {
    let fake = Fake::start(|_| Act::Fail("54000", "too much")).await;
    let config = StreamConfig::new(ConnectConfig::parse(&fake.conninfo()).unwrap(), "s");
    let mut stream = config.start().await.unwrap();
    let error = next(&mut stream).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the detail") && text.contains("the hint"), "{text}");
    // a chain that is printed has each cause once
    let deep = Error::Store(Box::new(Error::Io(std::io::Error::other("the disk"))));
    let mut chain = deep.to_string();
    let mut source = deep.source();
    while let Some(cause) = source {
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    assert_eq!(chain.matches("the disk").count(), 1, "{chain}");
}

#[tokio::test]
async fn format_json() {
    let config = ConnectConfig::parse("host=/nonexistent user=u").unwrap();
    let config = StreamConfig::new(config, "s").option("format", "json");
    let error = config.start().await.unwrap_err();
    assert!(matches!(&error, Error::Config(what) if what.contains("format")), "{error}");
}

#[tokio::test]
async fn format_json_stored() {
    if !available() {
        return;
    }
    for fetch in [false, true] {
        let mut db = Database::without_slot("json").await;
        db.run("CREATE TABLE orders (id int PRIMARY KEY)").await;
        let name = db.name.clone();
        db.run(&format!("SELECT cdc.create_slot('{name}', options => '{{format,json}}')")).await;
        db.run("INSERT INTO orders VALUES (1)").await;
        let mut config = db.config().dead_letters(pgcdc::DeadLetterDir::new(&db.dir));
        if fetch {
            config = config.transport(pgcdc::Transport::Fetch);
        }
        let read = match config.start().await {
            Ok(mut stream) => next(&mut stream).await,
            Err(error) => Err(error),
        };
        // a server may let the client's wish stand above what is stored
        match read {
            Ok(delivery) => assert_eq!(delivery.changes().count(), 1),
            Err(error) => {
                assert!(matches!(error, Error::Refused(Refusal::Json(_))), "{error}");
                assert!(error.to_string().contains("alter_slot"), "{error}");
            }
        }
        assert_eq!(std::fs::read_dir(&db.dir).unwrap().count(), 0, "no dead letter");
        db.drop().await;
    }
}

async fn refusal(config: StreamConfig) -> Refusal {
    match config.start().await {
        Err(Error::Refused(refusal)) => refusal,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it starts"),
    }
}

#[tokio::test]
async fn renamed_database() {
    if !available() {
        return;
    }
    let mut db = Database::new("renamed").await;
    let store = db.checkpoint();
    db.config().checkpoint(db.checkpoint()).start().await.unwrap().close().await.unwrap();
    let mut checkpoint = store.load().await.unwrap().unwrap();
    checkpoint.database = "former".into();
    store.save(&checkpoint).await.unwrap();
    let text = refusal(db.config().checkpoint(db.checkpoint())).await.to_string();
    assert!(text.contains("\"former\"") && text.contains(&db.name), "{text}");
    assert!(text.contains("\"database\""), "it says what to set: {text}");
    checkpoint.database = db.name.clone();
    checkpoint.slot = "another".into();
    store.save(&checkpoint).await.unwrap();
    let text = refusal(db.config().checkpoint(db.checkpoint())).await.to_string();
    assert!(text.contains("\"another\"") && text.contains(&db.name), "{text}");
    db.run("SELECT 1").await;
    db.drop().await;
}

#[tokio::test]
async fn slot_gone() {
    if !available() {
        return;
    }
    let db = Database::without_slot("gone").await;
    let checkpoint = Checkpoint { slot: db.name.clone(), ..Checkpoint::default() };
    db.checkpoint().save(&checkpoint).await.unwrap();
    let config = db.config().checkpoint(db.checkpoint());
    for config in [config.clone(), config.create_slot()] {
        let refusal = refusal(config).await;
        assert!(matches!(refusal, Refusal::SlotGone(_)), "{refusal}");
        let text = refusal.to_string();
        assert!(
            text.contains("lost") && text.contains("load") && text.contains("remove"),
            "{text}"
        );
    }
    db.drop().await;
}

#[tokio::test]
async fn wrong_database() {
    if !available() {
        return;
    }
    let db = Database::new("wrong_db").await;
    let mut config = db.config();
    config.connect.dbname = "postgres".into();
    let text = refusal(config).await.to_string();
    assert!(text.contains(&format!("database \"{}\"", db.name)), "{text}");
    db.drop().await;
}
