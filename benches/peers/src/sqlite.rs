//! SQLite in memory, with foreign keys that cascade, an index for each kind of query, prepared
//! statements, and one transaction for each command.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};

use crate::peer::{Answer, Kind, MESSAGE, Peer, SignalSummary, Step};

const SCHEMA: &str = "
PRAGMA journal_mode = MEMORY;
PRAGMA foreign_keys = ON;
PRAGMA temp_store = MEMORY;
CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    members INTEGER NOT NULL,
    next_seq INTEGER NOT NULL
) STRICT;
CREATE TABLE members (
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_of ON members (user_id, group_id);
CREATE TABLE log (
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    author INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (group_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstones (group_id INTEGER PRIMARY KEY, owner INTEGER NOT NULL) STRICT;
";

pub struct Sqlite {
    db: Connection,
    now: i64,
}

impl Default for Sqlite {
    fn default() -> Self {
        let db = Connection::open_in_memory().expect("a database in memory opens");
        db.execute_batch(SCHEMA).expect("the schema is valid");
        db.set_prepared_statement_cache_capacity(64);
        Sqlite { db, now: 0 }
    }
}

/// Why a command was not carried out.
enum Fault {
    Refused(u16),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

/// The result of a command: its signals, and if it dissolved a group, the members that this had.
#[derive(Default)]
pub struct Done {
    signals: Vec<SignalSummary>,
    dissolved_members: Vec<u64>,
}

impl Done {
    fn signal(kind: Kind, from: i64, recipients: i64) -> Done {
        let (from, recipients) = (from.cast_unsigned(), recipients.cast_unsigned());
        let signals = vec![SignalSummary { kind, from, recipients }];
        Done { signals, dissolved_members: Vec::new() }
    }
}

struct Group {
    owner: i64,
    members: i64,
    next_seq: i64,
}

impl Sqlite {
    fn sql(&self, sql: &str) -> Result<CachedStatement<'_>, rusqlite::Error> {
        self.db.prepare_cached(sql)
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<usize, rusqlite::Error> {
        self.sql(sql)?.execute(params)
    }

    fn group(&self, id: i64) -> Result<Group, Fault> {
        self.sql("SELECT owner, members, next_seq FROM groups WHERE id = ?")?
            .query_row([id], |row| {
                Ok(Group { owner: row.get(0)?, members: row.get(1)?, next_seq: row.get(2)? })
            })
            .optional()?
            .ok_or(Fault::Refused(404))
    }

    fn is_member(&self, group: i64, user: i64) -> Result<bool, Fault> {
        let mut found = self.sql("SELECT 1 FROM members WHERE group_id = ? AND user_id = ?")?;
        Ok(found.exists([group, user])?)
    }

    fn create(&self, owner: i64, group: i64) -> Result<Done, Fault> {
        let mut taken = self.sql(
            "SELECT 1 FROM groups WHERE id = ?1
             UNION ALL SELECT 1 FROM tombstones WHERE group_id = ?1",
        )?;
        if taken.exists([group])? {
            return Err(Fault::Refused(409));
        }
        self.execute("INSERT INTO groups VALUES (?, ?, 1, 0)", [group, owner])?;
        self.execute("INSERT INTO members VALUES (?, ?, ?)", [group, owner, self.now])?;
        Ok(Done::default())
    }

    fn join(&self, user: i64, group: i64) -> Result<Done, Fault> {
        let joined = self.group(group)?;
        let added = self
            .execute("INSERT OR IGNORE INTO members VALUES (?, ?, ?)", [group, user, self.now])?;
        if added == 0 {
            return Err(Fault::Refused(409));
        }
        self.execute("UPDATE groups SET members = members + 1 WHERE id = ?", [group])?;
        Ok(Done::signal(Kind::Join, user, joined.members))
    }

    fn leave(&self, user: i64, group: i64) -> Result<Done, Fault> {
        let left = self.group(group)?;
        if left.owner == user {
            return self.dissolve(user, group);
        }
        self.remove(user, group)?;
        Ok(Done::signal(Kind::Leave, user, left.members - 1))
    }

    fn kick(&self, by: i64, group: i64, user: i64) -> Result<Done, Fault> {
        let left = self.group(group)?;
        if !self.is_member(group, by)? {
            return Err(Fault::Refused(400));
        }
        if left.owner != by || user == by {
            return Err(Fault::Refused(403));
        }
        self.remove(user, group)?;
        Ok(Done::signal(Kind::Kick, user, left.members))
    }

    fn remove(&self, user: i64, group: i64) -> Result<(), Fault> {
        let sql = "DELETE FROM members WHERE group_id = ? AND user_id = ?";
        if self.execute(sql, [group, user])? == 0 {
            return Err(Fault::Refused(400));
        }
        self.execute("UPDATE groups SET members = members - 1 WHERE id = ?", [group])?;
        Ok(())
    }

    fn post(&self, author: i64, group: i64) -> Result<Done, Fault> {
        let posted_to = self.group(group)?;
        if !self.is_member(group, author)? {
            return Err(Fault::Refused(400));
        }
        self.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
            params![group, posted_to.next_seq, self.now, author, MESSAGE],
        )?;
        self.execute("UPDATE groups SET next_seq = next_seq + 1 WHERE id = ?", [group])?;
        Ok(Done::signal(Kind::Message, author, posted_to.members - 1))
    }

    fn dissolve(&self, owner: i64, group: i64) -> Result<Done, Fault> {
        let dissolved_members =
            self.ids("SELECT user_id FROM members WHERE group_id = ?", group)?;
        self.execute("DELETE FROM groups WHERE id = ?", [group])?;
        self.execute("INSERT INTO tombstones VALUES (?, ?)", [group, owner])?;
        let (from, recipients) = (owner.cast_unsigned(), dissolved_members.len() as u64 - 1);
        let signals = vec![
            SignalSummary { kind: Kind::Kick, from, recipients },
            SignalSummary { kind: Kind::Purge, from, recipients },
        ];
        Ok(Done { signals, dissolved_members })
    }

    fn ids(&self, sql: &str, of: i64) -> Result<Vec<u64>, rusqlite::Error> {
        let mut ids = self.sql(sql)?;
        let ids = ids.query_map([of], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?;
        ids.collect()
    }

    fn command(&self, step: Step) -> Result<Done, Fault> {
        let id = u64::cast_signed;
        match step {
            Step::Create { owner, group } => self.create(id(owner), id(group)),
            Step::Join { user, group } => self.join(id(user), id(group)),
            Step::Leave { user, group } => self.leave(id(user), id(group)),
            Step::Kick { by, group, user } => self.kick(id(by), id(group), id(user)),
            Step::Post { author, group } => self.post(id(author), id(group)),
        }
    }
}

const FATAL: &str = "SQLite failed";

impl Peer for Sqlite {
    type Output = Result<Done, u16>;

    fn run(&mut self, step: Step) -> Self::Output {
        self.now += 1;
        self.execute("BEGIN", []).expect(FATAL);
        // A refused command has written nothing, so there is nothing to roll back.
        let done = self.command(step);
        self.execute("COMMIT", []).expect(FATAL);
        done.map_err(|fault| match fault {
            Fault::Refused(code) => code,
            Fault::Sql(error) => panic!("{FATAL}: {error}"),
        })
    }

    fn answer(output: &Self::Output) -> Answer {
        output.as_ref().map(|done| done.signals.clone()).map_err(|code| *code)
    }

    fn dissolved_members(output: &Self::Output) -> Vec<u64> {
        output.as_ref().map_or(Vec::new(), |done| done.dissolved_members.clone())
    }

    fn members(&mut self, group: u64) -> Vec<u64> {
        self.ids(
            "SELECT user_id FROM members WHERE group_id = ? ORDER BY user_id",
            group.cast_signed(),
        )
        .expect(FATAL)
    }

    fn entries(&mut self, group: u64) -> u64 {
        let mut count = self.sql("SELECT count(*) FROM log WHERE group_id = ?").expect(FATAL);
        let count: i64 = count.query_row([group.cast_signed()], |row| row.get(0)).expect(FATAL);
        count.cast_unsigned()
    }

    fn groups_of(&mut self, user: u64) -> Vec<u64> {
        self.ids(
            "SELECT group_id FROM members WHERE user_id = ? ORDER BY group_id",
            user.cast_signed(),
        )
        .expect(FATAL)
    }

    /// Runs all steps in one transaction.
    fn fill(&mut self, steps: &mut dyn Iterator<Item = Step>) {
        self.execute("BEGIN", []).expect(FATAL);
        for step in steps {
            self.now += 1;
            let _ = self.command(step);
        }
        self.execute("COMMIT", []).expect(FATAL);
    }
}
