//! Redis, with hashes, sets and lists. Each command is a Lua script, so that it is atomic and takes
//! one round trip.

use std::time::Duration;

use redis::{Commands, Connection, Pipeline, RedisError, Script};

use crate::clock::{Clock, median};
use crate::peer::{Answer, Kind, MESSAGE, Peer, SignalSummary, Step};

// The keys in all scripts: `g<group>` is the owner of a group, `m<group>` its members and when each
// joined, `l<group>` its log, `t<group>` the user who dissolved it, and `u<user>` the groups of a
// user.

const CREATE: &str = "
local owner, group, now = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', 'g' .. group, 't' .. group) > 0 then return {409} end
redis.call('SET', 'g' .. group, owner)
redis.call('HSET', 'm' .. group, owner, now)
redis.call('SADD', 'u' .. owner, group)
return {200}
";

const JOIN: &str = "
local user, group, now = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', 'g' .. group) == 0 then return {404} end
if redis.call('HSETNX', 'm' .. group, user, now) == 0 then return {409} end
redis.call('SADD', 'u' .. user, group)
return {200, redis.call('HLEN', 'm' .. group) - 1}
";

/// `UNLINK` frees the members and the log in the background.
const LEAVE: &str = "
local user, group = ARGV[1], ARGV[2]
local owner = redis.call('GET', 'g' .. group)
if not owner then return {404} end
if owner == user then
  local members = redis.call('HKEYS', 'm' .. group)
  for _, member in ipairs(members) do redis.call('SREM', 'u' .. member, group) end
  redis.call('UNLINK', 'g' .. group, 'm' .. group, 'l' .. group)
  redis.call('SET', 't' .. group, owner)
  return {200, #members - 1, members}
end
if redis.call('HDEL', 'm' .. group, user) == 0 then return {400} end
redis.call('SREM', 'u' .. user, group)
return {200, redis.call('HLEN', 'm' .. group)}
";

const KICK: &str = "
local by, group, user = ARGV[1], ARGV[2], ARGV[3]
local owner = redis.call('GET', 'g' .. group)
if not owner then return {404} end
if redis.call('HEXISTS', 'm' .. group, by) == 0 then return {400} end
if owner ~= by or user == by then return {403} end
if redis.call('HDEL', 'm' .. group, user) == 0 then return {400} end
redis.call('SREM', 'u' .. user, group)
return {200, redis.call('HLEN', 'm' .. group) + 1}
";

const POST: &str = "
local author, group, now, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', 'g' .. group) == 0 then return {404} end
if redis.call('HEXISTS', 'm' .. group, author) == 0 then return {400} end
redis.call('RPUSH', 'l' .. group, now .. ':' .. author .. ':' .. message)
return {200, redis.call('HLEN', 'm' .. group) - 1}
";

/// How many commands [`Peer::fill`] sends in one round trip.
const BATCH: usize = 1_000;

pub struct Redis {
    connection: Connection,
    scripts: Scripts,
    now: u64,
}

struct Scripts {
    create: Script,
    join: Script,
    leave: Script,
    kick: Script,
    post: Script,
}

impl Scripts {
    /// The script for a step, and its arguments except the text of a message.
    fn of(&self, step: Step, now: u64) -> (&Script, [u64; 3]) {
        match step {
            Step::Create { owner, group } => (&self.create, [owner, group, now]),
            Step::Join { user, group } => (&self.join, [user, group, now]),
            Step::Leave { user, group } => (&self.leave, [user, group, now]),
            Step::Kick { by, group, user } => (&self.kick, [by, group, user]),
            Step::Post { author, group } => (&self.post, [author, group, now]),
        }
    }
}

/// Why Redis cannot be measured.
#[derive(Debug)]
pub enum RedisUnusable {
    /// Redis does not answer, or answers with an error.
    Fails(RedisError),
    /// The database has data, which a run would delete.
    NotEmpty,
    /// No address was given.
    NoAddress,
}

impl std::fmt::Display for RedisUnusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RedisUnusable::Fails(error) => write!(f, "Redis cannot be used: {error}"),
            RedisUnusable::NotEmpty => {
                f.write_str("Redis is not empty, and a run would delete its data")
            }
            RedisUnusable::NoAddress => f.write_str("REDIS_URL is not set"),
        }
    }
}

impl std::error::Error for RedisUnusable {}

impl From<RedisError> for RedisUnusable {
    fn from(error: RedisError) -> Self {
        RedisUnusable::Fails(error)
    }
}

impl Redis {
    /// Connects to the Redis at `url`. Its database must be empty.
    ///
    /// # Errors
    /// If no address is given, or Redis does not answer, or its database is not empty.
    pub fn connect(url: Option<&str>) -> Result<Redis, RedisUnusable> {
        let url = url.ok_or(RedisUnusable::NoAddress)?;
        let mut connection = redis::Client::open(url)?.get_connection()?;
        if redis::cmd("DBSIZE").query::<u64>(&mut connection)? > 0 {
            return Err(RedisUnusable::NotEmpty);
        }
        let [create, join, leave, kick, post] = [CREATE, JOIN, LEAVE, KICK, POST].map(Script::new);
        for script in [&create, &join, &leave, &kick, &post] {
            script.prepare_invoke().load(&mut connection)?;
        }
        let scripts = Scripts { create, join, leave, kick, post };
        Ok(Redis { connection, scripts, now: 0 })
    }

    /// The median time of a `PING`: that of a round trip without any work.
    pub fn ping(&mut self, clock: Clock) -> Duration {
        const PINGS: usize = 10_001;
        let ping = |_| {
            let (took, ()) =
                clock.time_of(|| redis::cmd("PING").exec(&mut self.connection).expect(FATAL));
            took
        };
        median((0..PINGS).map(ping).collect())
    }

    /// The memory that Redis uses, in bytes.
    pub fn used_memory(&mut self) -> u64 {
        let info: redis::InfoDict =
            redis::cmd("INFO").arg("memory").query(&mut self.connection).expect(FATAL);
        info.get("used_memory").unwrap_or(0)
    }
}

/// Deletes all data. It is ours, because `connect` accepts only an empty database.
impl Drop for Redis {
    fn drop(&mut self) {
        let _ = redis::cmd("FLUSHDB").exec(&mut self.connection);
    }
}

/// A step, and the reply of its script.
pub struct Done {
    step: Step,
    code: u16,
    recipients: u64,
    dissolved_members: Vec<u64>,
}

const FATAL: &str = "Redis failed";

impl Peer for Redis {
    type Output = Done;

    fn run(&mut self, step: Step) -> Done {
        self.now += 1;
        let (script, arguments) = self.scripts.of(step, self.now);
        let mut call = script.prepare_invoke();
        for argument in arguments {
            call.arg(argument);
        }
        call.arg(MESSAGE);
        let answer: Vec<redis::Value> = call.invoke(&mut self.connection).expect(FATAL);
        let mut answer = answer.into_iter();
        Done {
            step,
            code: answer.next().and_then(|v| redis::from_redis_value(v).ok()).expect(FATAL),
            recipients: answer.next().map_or(0, |v| redis::from_redis_value(v).expect(FATAL)),
            dissolved_members: answer
                .next()
                .map_or(Vec::new(), |v| redis::from_redis_value(v).expect(FATAL)),
        }
    }

    fn answer(Done { step, code, recipients, dissolved_members }: &Done) -> Answer {
        if *code != 200 {
            return Err(*code);
        }
        let signal = |kind, from| SignalSummary { kind, from, recipients: *recipients };
        Ok(match *step {
            Step::Create { .. } => Vec::new(),
            Step::Join { user, .. } => vec![signal(Kind::Join, user)],
            Step::Leave { user, .. } if dissolved_members.is_empty() => {
                vec![signal(Kind::Leave, user)]
            }
            Step::Leave { user, .. } => vec![signal(Kind::Kick, user), signal(Kind::Purge, user)],
            Step::Kick { user, .. } => vec![signal(Kind::Kick, user)],
            Step::Post { author, .. } => vec![signal(Kind::Message, author)],
        })
    }

    fn dissolved_members(output: &Done) -> Vec<u64> {
        let mut members = output.dissolved_members.clone();
        members.sort_unstable();
        members
    }

    fn members(&mut self, group: u64) -> Vec<u64> {
        let mut members: Vec<u64> = self.connection.hkeys(format!("m{group}")).expect(FATAL);
        members.sort_unstable();
        members
    }

    fn entries(&mut self, group: u64) -> u64 {
        self.connection.llen(format!("l{group}")).expect(FATAL)
    }

    fn groups_of(&mut self, user: u64) -> Vec<u64> {
        let mut groups: Vec<u64> = self.connection.smembers(format!("u{user}")).expect(FATAL);
        groups.sort_unstable();
        groups
    }

    /// Sends a thousand commands in a round trip.
    fn fill(&mut self, steps: &mut dyn Iterator<Item = Step>) {
        let mut steps = steps.peekable();
        while steps.peek().is_some() {
            let mut pipeline = Pipeline::new();
            for step in steps.by_ref().take(BATCH) {
                let (script, arguments) = self.scripts.of(step, self.now);
                let call = pipeline.cmd("EVALSHA").arg(script.get_hash()).arg(0);
                call.arg(&arguments[..]).arg(MESSAGE).ignore();
            }
            pipeline.exec(&mut self.connection).expect(FATAL);
        }
    }
}
