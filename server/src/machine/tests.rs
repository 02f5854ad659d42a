//! Tests of the machine.

use std::collections::BTreeMap;

use disband::{GroupOptions, Limits, Quotas, Seq};
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000_000;

fn name(number: u64) -> Name {
    number.into()
}

fn create(owner: u64, group: u64) -> Command {
    Command::Create { owner: name(owner), group: name(group), options: None }
}

fn join(user: u64, group: u64) -> Command {
    Command::Join { user: name(user), group: name(group) }
}

fn leave(user: u64, group: u64) -> Command {
    Command::Leave { user: name(user), group: name(group), stint: None }
}

fn post(author: u64, group: u64, message: &str) -> Command {
    Command::Post { author: name(author), group: name(group), message: message.into() }
}

/// A machine, and the number of its last request.
struct World {
    machine: Machine,
    serial: u64,
}

impl World {
    fn new(quotas: Quotas) -> World {
        let mut machine = Machine::new(5);
        let config = Config { quotas, ..*machine.engine().config() };
        machine.apply(Change::Configure(Box::new(config)));
        World { machine, serial: 0 }
    }

    fn request(&mut self, key: Option<&str>, content: Content) -> Request {
        self.serial += 1;
        let id = RequestId { node: 1, start: 1, serial: self.serial };
        Request { id, key: key.map(|key| key.parse().unwrap()), content }
    }

    fn send(&mut self, at: u64, key: Option<&str>, content: Content) -> Effects {
        let requests = vec![self.request(key, content)];
        self.machine.apply(Change::Batch { at: Timestamp(at), requests })
    }

    /// The response to one command.
    fn command(&mut self, at: u64, key: Option<&str>, command: Command) -> Response {
        let mut effects = self.send(at, key, Content::Command(command));
        effects.responses.remove(0).1
    }

    fn ok(&mut self, command: Command) -> Answer {
        let answer = self.command(NOW, None, command).unwrap();
        assert!(answer.result.is_ok(), "{answer:?}");
        answer
    }
}

#[test]
fn a_command_with_a_key_is_carried_out_once() {
    let mut world = World::new(Quotas::UNLIMITED);
    world.ok(create(1, 7));
    let first = world.command(NOW, Some("k"), post(1, 7, "hello"));
    for again in 0..1000 {
        let effects = world.send(NOW + again, Some("k"), Content::Command(post(1, 7, "hello")));
        assert_eq!(effects.responses[0].1, first);
        assert!(effects.signals.is_empty() && effects.garbage.is_empty());
    }
    assert_eq!(world.machine.engine().group(&name(7)).unwrap().next_seq(), Seq(1));
    let other = world.command(NOW, Some("k"), post(1, 7, "good bye"));
    assert_eq!(other, Err(NotDone::Key(KeyRefusal::Reused)));
    assert!(world.command(NOW, Some("k"), create(2, 8)).is_ok(), "another user has other keys");
}

#[test]
fn a_request_of_a_node_is_carried_out_once() {
    let mut world = World::new(Quotas::UNLIMITED);
    world.ok(create(1, 7));
    let request = world.request(None, Content::Command(post(1, 7, "hello")));
    let batch = Change::Batch { at: Timestamp(NOW), requests: vec![request.clone(), request] };
    let effects = world.machine.apply(batch.clone());
    assert_eq!((effects.responses.len(), effects.signals.len()), (1, 1));
    let before = world.machine.clone();
    let effects = world.machine.apply(batch);
    assert!(effects.responses.is_empty() && effects.signals.is_empty());
    assert_eq!(world.machine, before);
}

#[test]
fn a_refusal_is_kept_for_its_key_unless_the_command_came_too_fast() {
    let mut world = World::new(Quotas::default());
    let refused = world.command(NOW, Some("k"), join(1, 7)).unwrap();
    assert_eq!(refused.result, Err(Refusal::NoSuchGroup));
    assert!(world.command(NOW, None, create(2, 7)).is_ok());
    let again = world.command(NOW, Some("k"), join(1, 7)).unwrap();
    assert_eq!(again, refused, "the first answer, although the group exists now");

    let mut nth = 0;
    let too_fast = loop {
        nth += 1;
        let key = format!("leave-{nth}");
        let left = world.command(NOW, Some(&key), leave(3, 7)).unwrap();
        if let Err(Refusal::TooFast { retry_at }) = left.result {
            break (key, retry_at);
        }
    };
    let later = world.command(too_fast.1.0, Some(&too_fast.0), leave(3, 7)).unwrap();
    assert!(matches!(later.result, Err(Refusal::NotMember(_))), "{later:?}");
}

#[test]
fn a_refused_command_without_its_text_gives_the_same_engine() {
    let mut whole = World::new(Quotas::default());
    whole.command(NOW, None, create(1, 7)).unwrap();
    let mut short = World { machine: whole.machine.clone(), serial: whole.serial };
    let command = post(2, 7, &"x".repeat(10_000));
    let refusal = whole.machine.engine().preview(command.clone(), Timestamp(NOW)).unwrap_err();
    let refused = Refused {
        user: name(2),
        group: Some(name(7)),
        operation: Operation::Post,
        refusal: refusal.clone(),
        fingerprint: Some(fingerprint(&command)),
    };
    let content = Content::Refused(Box::new(refused));
    let one = whole.command(NOW, Some("k"), command.clone());
    let two = short.send(NOW, Some("k"), content).responses.remove(0).1;
    assert_eq!(one, two);
    assert_eq!(two.unwrap().result, Err(refusal));
    assert_eq!(whole.machine, short.machine);
    let again = short.command(NOW, Some("k"), command).unwrap();
    assert!(matches!(again.result, Err(Refusal::NotMember(_))), "the same command: {again:?}");
}

#[test]
fn time_goes_back_only_by_more_than_ten_seconds() {
    let mut world = World::new(Quotas::UNLIMITED);
    world.ok(create(1, 7));
    assert_eq!(world.command(NOW - 10_000, None, post(1, 7, "x")).unwrap().at, Timestamp(NOW));
    assert_eq!(world.machine.corrections(), 0);
    let corrected = Timestamp(NOW - 10_001);
    assert_eq!(world.command(NOW - 10_001, None, post(1, 7, "x")).unwrap().at, corrected);
    assert_eq!((world.machine.corrections(), world.machine.time_for(corrected)), (1, corrected));
}

/// The clock is a day ahead for more than ten minutes, and is then put right.
#[test]
fn after_a_wrong_clock_is_put_right_new_keys_are_accepted_and_old_ones_are_not() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let key = |time: u64| {
        uuid::Builder::from_unix_timestamp_millis(time, &[1; 10]).into_uuid().to_string()
    };
    let mut world = World::new(Quotas::UNLIMITED);
    world.ok(create(1, 7));
    let before = key(NOW);
    world.command(NOW, Some(&before), post(1, 7, "before")).unwrap();
    world.command(NOW + DAY, Some(&key(NOW + DAY)), post(1, 7, "ahead")).unwrap();
    for minute in 0..30 {
        world.command(NOW + DAY + minute * 60_000, None, post(2, 7, "x")).unwrap();
    }
    let right = NOW + 300_000;
    world.command(right, None, post(2, 7, "x")).unwrap();
    assert_eq!(world.machine.corrections(), 1);
    let again = world.command(right + 1, Some(&before), post(1, 7, "before"));
    assert_eq!(again, Err(NotDone::Key(KeyRefusal::Expired)));
    let fresh = world.command(right + 1, Some(&key(right + 1)), post(1, 7, "fresh"));
    assert!(fresh.is_ok(), "{fresh:?}");
}

#[test]
fn a_configuration_changes_at_its_place_among_the_commands() {
    let mut world = World::new(Quotas::UNLIMITED);
    world.ok(create(1, 7));
    let limits = Limits { message_bytes: Some(2), ..Limits::default() };
    let config = Config { limits, ..*world.machine.engine().config() };
    world.ok(post(1, 7, "long"));
    let effects = world.machine.apply(Change::Configure(Box::new(config)));
    assert_eq!(effects.garbage.len(), 1);
    let refused = world.command(NOW, None, post(1, 7, "long")).unwrap();
    assert!(matches!(refused.result, Err(Refusal::OverLimit { .. })));
    let other = Config { instance: 6, ..Config::default() };
    let before = world.machine.clone();
    world.machine.apply(Change::Configure(Box::new(other)));
    assert_eq!(world.machine, before, "the instance number never changes");
}

#[test]
fn what_ended_a_group_is_handed_out_to_be_freed() {
    let mut world = World::new(Quotas::UNLIMITED);
    world.ok(create(1, 7));
    world.ok(join(2, 7));
    assert!(world.send(NOW, None, Content::Command(leave(2, 7))).garbage.is_empty());
    let effects = world.send(NOW, None, Content::Command(leave(1, 7)));
    assert!(matches!(effects.garbage[..], [Garbage::Group(_)]));
}

#[test]
fn a_long_answer_is_kept_without_its_list() {
    let mut world = World::new(Quotas::UNLIMITED);
    for group in 0..200 {
        world.ok(create(1, group));
    }
    let leave_all = Command::LeaveAll { user: name(1) };
    let first = world.command(NOW, Some("k"), leave_all.clone()).unwrap().result.unwrap();
    assert!(matches!(&first.value, Value::Groups(groups) if groups.len() == 200));
    let again = world.command(NOW, Some("k"), leave_all).unwrap().result.unwrap();
    assert_eq!(again, Done { value: Value::Nothing, caused: vec![] });
}

#[test]
fn bytes_that_are_not_a_machine_are_refused() {
    let mut world = World::new(Quotas::default());
    for group in 0..3 {
        let key = format!("key-{group}");
        assert!(world.command(NOW, Some(&key), create(group, group)).is_ok());
    }
    let bytes = world.machine.to_bytes();
    assert_eq!(Machine::from_bytes(&bytes).unwrap(), world.machine);
    for len in 0..bytes.len() {
        assert!(Machine::from_bytes(&bytes[..len]).is_err(), "cut off at {len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Machine::from_bytes(&longer), Err(MachineError::TrailingBytes(1))));
    // A snapshot has a hash, so a flipped bit never comes this far. If it did, nothing would panic.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        if let Ok(machine) = Machine::from_bytes(&flipped) {
            assert_eq!(machine.engine().check(), Ok(()));
        }
    }
}

fn command() -> impl Strategy<Value = Command> {
    let (user, group) = (|| (0..4_u64).prop_map(name), || (0..3_u64).prop_map(name));
    prop_oneof![
        2 => (user(), group(), any::<bool>()).prop_map(|(owner, group, options)| {
            Command::Create { owner, group, options: options.then(GroupOptions::default) }
        }),
        4 => (user(), group()).prop_map(|(user, group)| Command::Join { user, group }),
        2 => (user(), group())
            .prop_map(|(user, group)| Command::Leave { user, group, stint: None }),
        4 => (user(), group(), "[a-z]{0,8}").prop_map(|(author, group, message)| {
            Command::Post { author, group, message: message.into() }
        }),
        1 => (user(), group(), user())
            .prop_map(|(by, group, user)| Command::Kick { by, group, user }),
        1 => (user(), group(), 0..4_u64)
            .prop_map(|(by, group, seq)| Command::Erase { by, group, seq: Seq(seq) }),
        1 => user().prop_map(|user| Command::LeaveAll { user }),
    ]
}

/// When the next command comes, its serial number, and its key.
type Step = (i64, u64, Option<u64>, Command);

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![20 => 0..3000_i64, 1 => -30_000..0_i64, 1 => 0..900_000_i64];
    let key = prop_oneof![1 => Just(None), 1 => (0..6_u64).prop_map(Some)];
    (wait, 1..80_u64, key, command())
}

fn change(steps: Vec<Step>, now: &mut u64) -> Change {
    let requests = steps.into_iter().map(|(wait, serial, key, command)| {
        *now = now.saturating_add_signed(wait);
        let id = RequestId { node: serial % 2, start: serial / 40, serial };
        let key = key.map(|key| format!("key-{key}").parse().unwrap());
        Request { id, key, content: Content::Command(command) }
    });
    let requests = requests.collect();
    Change::Batch { at: Timestamp(*now), requests }
}

proptest! {
    /// Two machines apply the same changes. One of them is replaced by its snapshot now and then. Each
    /// request with the same id, or with the same key of the same user, has at most one effect.
    #[test]
    fn equal_machines_stay_equal_and_give_equal_bytes(
        batches in prop::collection::vec((prop::collection::vec(step(), 1..6), any::<bool>()), 1..40),
    ) {
        let (mut one, mut two) = (World::new(Quotas::default()).machine, World::new(Quotas::default()).machine);
        let (mut now, mut answers) = (NOW, BTreeMap::new());
        for (steps, snapshot) in batches {
            let change = change(steps, &mut now);
            let bytes = change.encode();
            prop_assert_eq!(Change::decode(&bytes).unwrap(), change.clone());
            let (left, right) = (one.apply(change.clone()), two.apply(change));
            prop_assert_eq!(&left.responses, &right.responses);
            prop_assert_eq!(&left.signals, &right.signals);
            for (id, response) in left.responses {
                if let Ok(answer) = response {
                    prop_assert!(answers.insert(id, answer).is_none(), "answered twice");
                }
            }
            if snapshot {
                two = Machine::from_bytes(&two.to_bytes()).unwrap();
            }
            prop_assert_eq!(one.to_bytes(), two.to_bytes());
            prop_assert_eq!(&one, &two);
            prop_assert_eq!(one.engine().check(), Ok(()));
        }
    }
}
