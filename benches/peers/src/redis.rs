//! Redis: hashes, sets and lists, and a Lua script for each command, so that it is atomic and takes
//! one round trip.

use std::time::Duration;

use redis::{Commands, Connection, Pipeline, RedisError, Script};

use crate::clock::{Clock, median};
use crate::peer::{Answer, Kind, MESSAGE, Peer, Step, Told};

/// Keys: `g<group>` is the owner, `m<group>` the members with when each came, `l<group>` the log,
/// `t<group>` who dissolved it, `u<user>` the groups of a user.
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

/// `UNLINK` frees members and log in the background.
const LEAVE: &str = "
local user, group = ARGV[1], ARGV[2]
local owner = redis.call('GET', 'g' .. group)
if not owner then return {404} end
if owner == user then
  local gone = redis.call('HKEYS', 'm' .. group)
  for _, member in ipairs(gone) do redis.call('SREM', 'u' .. member, group) end
  redis.call('UNLINK', 'g' .. group, 'm' .. group, 'l' .. group)
  redis.call('SET', 't' .. group, owner)
  return {200, #gone - 1, gone}
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

/// Commands in one round trip, while a group is filled.
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
    /// The script for a step, and its arguments but for the text.
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

/// Why there is no Redis to measure.
#[derive(Debug)]
pub enum RedisUnusable {
    /// It does not answer, or not as Redis does.
    Fails(RedisError),
    /// Somebody keeps something in it.
    NotEmpty,
    /// The run was not given its address.
    NoAddress,
}

impl std::fmt::Display for RedisUnusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RedisUnusable::Fails(error) => write!(f, "it does not answer: {error}"),
            RedisUnusable::NotEmpty => f.write_str("it is not empty, and would be emptied"),
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
    /// The Redis at `url`, which must be empty.
    ///
    /// # Errors
    /// If there is no address, or it does not answer, or it is not empty.
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

    /// The time of a bare `PING`, the median of many: what a round trip costs without any work.
    pub fn ping(&mut self, clock: Clock) -> Duration {
        const PINGS: usize = 10_001;
        let ping = |_| {
            let (took, ()) =
                clock.time_of(|| redis::cmd("PING").exec(&mut self.connection).expect(FATAL));
            took
        };
        median((0..PINGS).map(ping).collect())
    }

    /// Memory for all that it holds, in bytes.
    pub fn used_memory(&mut self) -> u64 {
        let info: redis::InfoDict =
            redis::cmd("INFO").arg("memory").query(&mut self.connection).expect(FATAL);
        info.get("used_memory").unwrap_or(0)
    }
}

/// What was measured is left behind in nobody's way.
impl Drop for Redis {
    fn drop(&mut self) {
        let _ = redis::cmd("FLUSHDB").exec(&mut self.connection);
    }
}

/// What the script said of which step.
pub struct Done {
    step: Step,
    code: u16,
    recipients: u64,
    gone: Vec<u64>,
}

const FATAL: &str = "Redis answers as its scripts do";

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
            gone: answer.next().map_or(Vec::new(), |v| redis::from_redis_value(v).expect(FATAL)),
        }
    }

    fn answer(Done { step, code, recipients, gone }: &Done) -> Answer {
        if *code != 200 {
            return Err(*code);
        }
        let told = |kind, from| Told { kind, from, recipients: *recipients };
        Ok(match *step {
            Step::Create { .. } => Vec::new(),
            Step::Join { user, .. } => vec![told(Kind::Join, user)],
            Step::Leave { user, .. } if gone.is_empty() => vec![told(Kind::Leave, user)],
            Step::Leave { user, .. } => vec![told(Kind::Kick, user), told(Kind::Purge, user)],
            Step::Kick { user, .. } => vec![told(Kind::Kick, user)],
            Step::Post { author, .. } => vec![told(Kind::Message, author)],
        })
    }

    fn gone(output: &Done) -> Vec<u64> {
        let mut gone = output.gone.clone();
        gone.sort_unstable();
        gone
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

    /// A thousand to a round trip.
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
