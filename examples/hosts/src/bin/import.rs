//! Groups are imported from membership tables in SQLite, with one batch for each group. Then a
//! member leaves one group and the owner leaves the other, both in the engine. The signals say what
//! to change in the tables.
//!
//! `cargo run -p disband-hosts --bin import`

#![allow(clippy::disallowed_methods, reason = "the host reads the clock")]

use std::{collections::BTreeMap, error::Error, time::SystemTime};

use disband::{Command, Engine, Event, Rank, Signal, Timestamp};
use rusqlite::{Connection, Result};

const TABLES: &str = "
    PRAGMA foreign_keys = ON; CREATE TABLE chat (id INTEGER PRIMARY KEY, owner INTEGER);
    CREATE TABLE member (chat INTEGER REFERENCES chat ON DELETE CASCADE, user INTEGER,
        admin BOOLEAN, joined_at INTEGER);
    INSERT INTO chat VALUES (1, 10), (2, 11);
    INSERT INTO member VALUES (1, 10, FALSE, 100), (1, 11, FALSE, 200), (1, 12, TRUE, 300),
        (2, 11, FALSE, 400), (2, 10, FALSE, 500);";

fn main() -> Result<(), Box<dyn Error>> {
    let mut sql = Connection::open_in_memory()?;
    sql.execute_batch(TABLES)?;
    // SQLite has signed integers, so these are the ids here.
    let mut engine = Engine::<i64, i64>::default();
    let now = Timestamp::from(SystemTime::now());
    for (chat, batch) in batches(&sql)? {
        let replies = engine.apply_all(batch, now)?.ignore_signals();
        println!("chat {chat}: imported with {} commands", replies.len());
    }
    compare(&sql, &engine)?;

    // From now on, commands go to the engine. User 11 is a member of chat 1, and owns chat 2.
    for chat in [1, 2] {
        let transaction = sql.transaction()?;
        for signal in engine.leave(11, chat, now)?.signals {
            println!("{signal}");
            update(&transaction, &signal)?;
        }
        transaction.commit()?;
        compare(&sql, &engine)?;
    }
    Ok(())
}

/// The commands that create each chat, owner first. The others are added in the order in which they
/// joined, because `OwnerExit::Succeed` chooses the admin with the longest membership.
fn batches(sql: &Connection) -> Result<BTreeMap<i64, Vec<Command<i64, i64>>>> {
    let mut batches = BTreeMap::<_, Vec<_>>::new();
    let query = "SELECT id, owner, user, admin FROM chat JOIN member ON chat = id
        ORDER BY user <> owner, joined_at";
    for row in sql.prepare(query)?.query_map([], |row| row.try_into())? {
        let (group, owner, user, admin): (i64, i64, i64, bool) = row?;
        let batch = batches.entry(group).or_default();
        let create = Command::Create { owner, group, options: None };
        let add = Command::Add { by: owner, group, user };
        batch.push(if user == owner { create } else { add });
        if admin && user != owner {
            batch.push(Command::SetRank { by: owner, group, user, rank: Rank::Admin });
        }
    }
    Ok(batches)
}

/// Changes the tables as a signal of a leave says.
fn update(sql: &Connection, signal: &Signal<i64, i64>) -> Result<usize> {
    let ids = (signal.group, signal.from);
    match signal.event {
        Event::MemberLeave => sql.execute("DELETE FROM member WHERE chat = ?1 AND user = ?2", ids),
        // The members are deleted with the chat.
        Event::HistoryPurge { .. } => sql.execute("DELETE FROM chat WHERE id = ?1", [ids.0]),
        // `MemberKick`, when the owner dissolves the group: `HistoryPurge` follows.
        _ => Ok(0),
    }
}

/// Compares the number of members of each chat.
fn compare(sql: &Connection, engine: &Engine<i64, i64>) -> Result<()> {
    let mut query = sql.prepare("SELECT chat, count(*) FROM member GROUP BY chat ORDER BY chat")?;
    let rows: Vec<(i64, i64)> =
        query.query_map([], |row| row.try_into())?.collect::<Result<_>>()?;
    let groups: Vec<_> = engine.groups().map(|(id, group)| (*id, group.len() as i64)).collect();
    println!("chats and their numbers of members: {groups:?}");
    assert_eq!(rows, groups);
    Ok(())
}
