//! Scripted work: what every peer is given to do.

#![allow(clippy::disallowed_types, reason = "nothing here depends on their order")]

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::peer::Step;

/// The steps that make a group: its owner, its members, and as many messages by them.
pub fn group(
    id: u64,
    members: impl Iterator<Item = u64> + Clone,
    messages: u64,
) -> impl Iterator<Item = Step> {
    let mut others = members.clone();
    let owner = others.next().expect("a group has an owner");
    let authors =
        members.cycle().take(usize::try_from(messages).expect("messages to iterate over"));
    std::iter::once(Step::Create { owner, group: id })
        .chain(others.map(move |user| Step::Join { user, group: id }))
        .chain(authors.map(move |author| Step::Post { author, group: id }))
}

/// How large the mix is.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub groups: u64,
    /// Members of the largest group; the k-th largest has a k-th of them.
    pub largest: u64,
    pub commands: u64,
}

/// A service at work. Of 1,000 commands some 600 are posts, 180 joins, 149 leaves of a member and 1 of an
/// owner, 40 kicks, 10 creations; 15 leaves come from somebody who is no member, and 5 name a group
/// that does not exist. Which group a command is for follows Zipf's law with exponent 1, as the sizes
/// of the groups do at the start: so the owner who leaves is mostly that of a large one. A group
/// that was dissolved is followed by a new one, which starts with its owner alone.
///
/// The script keeps its own account of who is where, and so knows what to ask for.
pub struct Mix {
    groups: Vec<Group>,
    /// Users who were there from the start have even ids below twice this, who join later odd ones.
    users: u64,
    /// Who came to which group later, and is still in it.
    joined: HashSet<(u64, u64)>,
    next_id: u64,
    /// What follows from the last step.
    due: Option<Step>,
    rng: StdRng,
}

struct Group {
    id: u64,
    /// The owner first.
    members: Vec<u64>,
}

/// No group has this id.
const NOBODYS: u64 = 0;

impl Mix {
    /// The same for the same scale and seed.
    #[must_use]
    pub fn new(scale: Scale, seed: u64) -> Mix {
        let users = scale.largest;
        let groups = (1..=scale.groups).map(|rank| {
            // Members lie a stride apart, and start elsewhere in each group: all users are in
            // about as many groups.
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

    /// The steps that make the groups as they are now.
    pub fn setup(&self) -> impl Iterator<Item = Step> {
        self.groups.iter().flat_map(|it| group(it.id, it.members.iter().copied(), 0))
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
        // The continuous form of Zipf's law with exponent 1: as many commands go to the ranks from
        // 1 to 10 as to those from 10 to 100.
        let rank = (self.groups.len() as f64).powf(self.rng.random::<f64>()) as usize - 1;
        let user = self.rng.random_range(0..self.users) * 2 + 1;
        let nobody = self.users * 2 + user;
        let it = &mut self.groups[rank];
        let (group, owner) = (it.id, it.members[0]);
        let place = self.rng.random_range(0..it.members.len());
        let member = it.members[place];
        match self.rng.random_range(0..1_000) {
            0 => {
                *it = Group { id: self.next_id, members: vec![owner] };
                self.joined.insert((self.next_id, owner));
                self.due = Some(Step::Create { owner, group: self.next_id });
                self.next_id += 1;
                Step::Leave { user: owner, group }
            }
            die @ 1..190 if place > 0 => {
                it.members.swap_remove(place);
                self.joined.remove(&(group, member));
                match die {
                    1..150 => Step::Leave { user: member, group },
                    _ => Step::Kick { by: owner, group, user: member },
                }
            }
            190..370 if self.joined.insert((group, user)) => {
                it.members.push(user);
                Step::Join { user, group }
            }
            370..380 => {
                let group = self.next_id;
                self.next_id += 1;
                self.joined.insert((group, user));
                self.groups.push(Group { id: group, members: vec![user] });
                Step::Create { owner: user, group }
            }
            380..395 => Step::Leave { user: nobody, group },
            395..400 => Step::Leave { user: member, group: NOBODYS },
            _ => Step::Post { author: member, group },
        }
    }
}
