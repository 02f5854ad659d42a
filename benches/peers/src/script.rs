//! Scripted work: the commands that every peer runs.

#![allow(clippy::disallowed_types, reason = "no command depends on the order in a set")]

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::peer::Step;

/// The steps that create a group: the first of `members` creates it, the others join, and all of
/// them in turn post `messages` messages.
pub fn group(
    id: u64,
    members: impl Iterator<Item = u64> + Clone,
    messages: u64,
) -> impl Iterator<Item = Step> {
    let mut others = members.clone();
    let owner = others.next().expect("a group has an owner");
    let authors =
        members.cycle().take(usize::try_from(messages).expect("the number fits in a usize"));
    std::iter::once(Step::Create { owner, group: id })
        .chain(others.map(move |user| Step::Join { user, group: id }))
        .chain(authors.map(move |author| Step::Post { author, group: id }))
}

/// How large the mix is.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub groups: u64,
    /// Members of the largest group. The k-th largest group has a k-th of this number.
    pub largest: u64,
    pub commands: u64,
}

/// The commands of a service at work. Of 1,000 commands about 600 are posts, 180 joins, 149 leaves
/// of plain members, 1 leave of an owner, 40 kicks and 10 creations. 15 are leaves by users who are
/// not members, and 5 are leaves of a group that does not exist.
///
/// The sizes of the groups at the start follow Zipf's law with exponent 1, and so do their shares
/// of the commands. So when an owner leaves, the group is mostly a large one. The same owner then
/// creates a new group in place of the dissolved one, and is its only member at first.
///
/// The script records the members of each group, so no other command is refused.
pub struct Mix {
    groups: Vec<Group>,
    /// Of the ids below twice this number, users with even ids are members from the start. Users
    /// with odd ids join or create groups later.
    users: u64,
    /// The memberships that began after the start, as (group, user). Those of dissolved groups
    /// stay: the id of a group is not used again.
    joined: HashSet<(u64, u64)>,
    next_id: u64,
    /// After a dissolution, the creation of the new group: the next step.
    due: Option<Step>,
    rng: StdRng,
}

struct Group {
    id: u64,
    /// The owner first.
    members: Vec<u64>,
}

/// No group has this id.
const NO_GROUP: u64 = 0;

impl Mix {
    /// The same scale and seed give the same commands.
    #[must_use]
    pub fn new(scale: Scale, seed: u64) -> Mix {
        let users = scale.largest;
        let groups = (1..=scale.groups).map(|rank| {
            // The members are `stride` users apart, and each group starts at another user. So all
            // users are in about the same number of groups.
            let members = (scale.largest / rank).max(1);
            let start = rank.wrapping_mul(0x9e37_79b9) % users;
            let stride = users / members;
            let members = (0..members).map(|nth| (start + nth * stride) % users * 2);
            Group { id: rank, members: members.collect() }
        });
        Mix {
            groups: groups.collect(),
            users,
            joined: HashSet::new(),
            next_id: scale.groups + 1,
            due: None,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// The steps that create the groups as they are now.
    pub fn setup(&self) -> impl Iterator<Item = Step> {
        self.groups.iter().flat_map(|made| group(made.id, made.members.iter().copied(), 0))
    }

    /// How many memberships there are.
    #[must_use]
    pub fn memberships(&self) -> u64 {
        self.groups.iter().map(|group| group.members.len() as u64).sum()
    }

    /// The ids of the groups.
    pub fn groups(&self) -> impl Iterator<Item = u64> {
        self.groups.iter().map(|group| group.id)
    }

    /// The next command.
    pub fn step(&mut self) -> Step {
        if let Some(step) = self.due.take() {
            return step;
        }
        // Zipf's law with exponent 1, in its continuous form: the ranks from 1 to 10 get as many
        // commands as the ranks from 10 to 100.
        let rank = (self.groups.len() as f64).powf(self.rng.random::<f64>()) as usize - 1;
        let user = self.rng.random_range(0..self.users) * 2 + 1;
        let non_member = self.users * 2 + user;
        let chosen = &mut self.groups[rank];
        let (group, owner) = (chosen.id, chosen.members[0]);
        let place = self.rng.random_range(0..chosen.members.len());
        let member = chosen.members[place];
        match self.rng.random_range(0..1_000) {
            0 => {
                *chosen = Group { id: self.next_id, members: vec![owner] };
                self.joined.insert((self.next_id, owner));
                self.due = Some(Step::Create { owner, group: self.next_id });
                self.next_id += 1;
                Step::Leave { user: owner, group }
            }
            roll @ 1..190 if place > 0 => {
                chosen.members.swap_remove(place);
                self.joined.remove(&(group, member));
                match roll {
                    1..150 => Step::Leave { user: member, group },
                    _ => Step::Kick { by: owner, group, user: member },
                }
            }
            190..370 if self.joined.insert((group, user)) => {
                chosen.members.push(user);
                Step::Join { user, group }
            }
            370..380 => {
                let group = self.next_id;
                self.next_id += 1;
                self.joined.insert((group, user));
                self.groups.push(Group { id: group, members: vec![user] });
                Step::Create { owner: user, group }
            }
            380..395 => Step::Leave { user: non_member, group },
            395..400 => Step::Leave { user: member, group: NO_GROUP },
            _ => Step::Post { author: member, group },
        }
    }
}
