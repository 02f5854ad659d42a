//! The map against std's, through every form and back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Form, Map};

fn assert_same(map: &Map<u8, u16>, model: &BTreeMap<u8, u16>) {
    assert_eq!(map.len(), model.len());
    assert_eq!(map.is_empty(), model.is_empty());
    assert!(map.iter().eq(model));
    assert!(map.iter().rev().eq(model.iter().rev()));
    assert_eq!(map.iter().len(), model.len());
    assert_eq!(map.first(), model.first_key_value());
    for key in 0..=u8::MAX {
        assert_eq!(map.get(&key), model.get(&key));
        assert_eq!(map.contains(&key), model.contains_key(&key));
        assert_eq!(map.at_or_before(&key), model.range(..=key).next_back());
        let after = (std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded);
        assert_eq!(map.after(&key), model.range(after).next());
    }
}

fn form(map: &Map<u8, u16>) -> &'static str {
    match map.0 {
        Form::Empty => "empty",
        Form::One(_) => "one",
        Form::Few(_) => "few",
        Form::Many(_) => "many",
    }
}

/// The sizes at which the form changes, on the way up to 40 entries and back.
#[test]
fn grows_and_shrinks_through_every_form() {
    let mut map = Map::new();
    let mut forms = vec![(0, form(&map))];
    for key in 0..40 {
        assert_eq!(map.insert(key, 0), None);
        forms.push((map.len(), form(&map)));
    }
    for key in 0..40 {
        assert_eq!(map.remove(&key), Some(0));
        assert_eq!(map.remove(&key), None);
        forms.push((map.len(), form(&map)));
    }
    forms.dedup_by_key(|(_, form)| *form);
    let up = [(0, "empty"), (1, "one"), (2, "few"), (33, "many")];
    let down = [(16, "few"), (1, "one"), (0, "empty")];
    assert_eq!(forms, [&up[..], &down[..]].concat());
}

#[test]
fn shows_its_entries() {
    let map: Map<u8, u16> = [(1, 10), (2, 20)].into_iter().collect();
    assert_eq!(format!("{map:?}"), "{1: 10, 2: 20}");
}

proptest! {
    #[test]
    fn is_std_s_map_and_leaves_its_clones_alone(
        // Runs of one kind of change, so that the map crosses the borders between its forms.
        runs in prop::collection::vec((0u8..3, prop::collection::vec((0u8..64, any::<u16>()), 0..48)), 1..8)
    ) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        for (kind, changes) in runs {
            let before = (map.clone(), model.clone());
            for (key, value) in changes {
                match kind {
                    0 => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                    1 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    _ => {
                        let (ours, theirs) = (map.get_mut(&key), model.get_mut(&key));
                        prop_assert_eq!(&ours, &theirs);
                        if let (Some(ours), Some(theirs)) = (ours, theirs) {
                            (*ours, *theirs) = (value, value);
                        }
                    }
                }
            }
            assert_same(&map, &model);
            assert_same(&before.0, &before.1);
            prop_assert_eq!(before.0 == map, before.1 == model);
        }
    }
}
