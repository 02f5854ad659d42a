//! Outcomes, audiences and dissolved groups.

use std::ptr;

use disband_c::*;

use crate::call::*;

/// Walks an audience of numbers in pages of `size`; the last id of a page is read from the array.
fn walk(audience: disband_audience, size: usize) -> Given<Vec<u64>> {
    let mut all = Vec::new();
    let mut page = vec![u64::MAX; size];
    let mut after: *const u64 = ptr::null();
    loop {
        let (ids, capacity) = (page.as_mut_ptr(), page.len());
        // SAFETY: `after` is null or points into `page`, and `page` has `capacity` elements.
        let count =
            given(|out| unsafe { disband_audience_numbers(audience, after, ids, capacity, out) })?;
        all.extend(&page[..count]);
        if count < capacity {
            return Ok(all);
        }
        after = &raw const page[count - 1];
    }
}

#[test]
fn an_audience_is_walked_in_pages() -> Given<()> {
    let engine = group_of(100);
    let posted = apply(engine, r#"{"post":{"author":"50","group":"7","message":"a"}}"#, 2000)?;
    let audience = given(|out| disband_outcome_audience(posted, 0, out))?;
    done(posted.free())?;
    // Later changes do not reach it, and it outlives the outcome and the engine.
    assert_eq!(code_of(engine, r#"{"leave":{"user":"99","group":"7"}}"#, 2000)?, 200);
    done(engine.free())?;

    assert_eq!(given(|out| disband_audience_len(audience, out))?, 99);
    let others: Vec<u64> = (1..=100).filter(|user| *user != 50).collect();
    for size in [1, 7, 98, 99, 100, 1000] {
        assert_eq!(walk(audience, size)?, others, "pages of {size}");
    }

    let page = |after: &str, limit| {
        given(|out| disband_audience_page(audience, JSON, after.as_bytes().into(), limit, out))
            .map(taken)
    };
    assert_eq!(page("", 2)?, r#"["1","2"]"#);
    assert_eq!(page(r#""49""#, 2)?, r#"["51","52"]"#);
    assert_eq!((page(r#""100""#, 2)?, page("", 0)?), ("[]".into(), "[]".into()));
    assert_eq!(serde_json::from_str::<Vec<String>>(&page("", u64::MAX)?).unwrap().len(), 99);
    assert_eq!(page("49", 2), Err(disband_status::BadFormat));

    let contains =
        |user: &[u8]| given(|out| disband_audience_contains(audience, JSON, user.into(), out));
    assert_eq!((contains(br#""49""#)?, contains(br#""50""#)?), (true, false));
    assert_eq!(contains(NOTHING), Err(disband_status::BadFormat));

    let clone = given(|out| disband_audience_clone(audience, out))?;
    done(audience.free())?;
    assert_eq!(walk(clone, 10)?, others);
    done(clone.free())
}

#[test]
fn the_largest_ids_are_walked_too() -> Given<()> {
    let engine = engine(NUMBERS);
    let max = u64::MAX.to_string();
    let create = format!(r#"{{"create":{{"owner":"0","group":"{max}"}}}}"#);
    assert_eq!(code_of(engine, &create, u64::MAX)?, 200);
    let join = format!(r#"{{"join":{{"user":"{max}","group":"{max}"}}}}"#);
    assert_eq!(code_of(engine, &join, u64::MAX)?, 200);
    let join = format!(r#"{{"join":{{"user":"1","group":"{max}"}}}}"#);
    let joined = apply(engine, &join, u64::MAX)?;
    let audience = given(|out| disband_outcome_audience(joined, 0, out))?;
    for size in 1..4 {
        assert_eq!(walk(audience, size)?, [0, u64::MAX]);
    }
    for outcome in [audience.free(), joined.free(), engine.free()] {
        done(outcome)?;
    }
    Ok(())
}

#[test]
fn numbers_need_room_and_numbers() -> Given<()> {
    let engine = group_of(3);
    let posted = apply(engine, r#"{"post":{"author":"1","group":"7","message":"a"}}"#, 2000)?;
    let audience = given(|out| disband_outcome_audience(posted, 0, out))?;
    let numbers = |audience, ids: &mut [u64]| {
        let (ids, capacity) =
            if ids.is_empty() { (ptr::null_mut(), 1) } else { (ids.as_mut_ptr(), ids.len()) };
        // SAFETY: `ids` is null or has that many elements.
        given(|out| unsafe { disband_audience_numbers(audience, ptr::null(), ids, capacity, out) })
    };
    assert_eq!(numbers(audience, &mut []), Err(disband_status::NullPointer));
    // SAFETY: a null array of no elements is not used.
    let none = given(|out| unsafe {
        disband_audience_numbers(audience, ptr::null(), ptr::null_mut(), 0, out)
    });
    assert_eq!(none, Ok(0));
    // Only as many elements are used as there are users.
    let mut ids = [5; 4];
    assert_eq!(numbers(audience, &mut ids)?, 2);
    assert_eq!(ids, [2, 3, 5, 5]);
    for outcome in [audience.free(), posted.free(), engine.free()] {
        done(outcome)?;
    }

    let engine = crate::call::engine(TEXT);
    assert_eq!(code_of(engine, r#"{"create":{"owner":"a","group":"g"}}"#, 1)?, 200);
    let joined = apply(engine, r#"{"join":{"user":"b","group":"g"}}"#, 1)?;
    let audience = given(|out| disband_outcome_audience(joined, 0, out))?;
    assert_eq!(numbers(audience, &mut ids), Err(disband_status::BadArgument));
    assert_eq!(ids, [2, 3, 5, 5]);
    assert_eq!(last_error(), "the ids are text, not numbers");
    let page = given(|out| disband_audience_page(audience, JSON, NOTHING.into(), 5, out))?;
    assert_eq!(taken(page), r#"["a"]"#);
    for outcome in [audience.free(), joined.free(), engine.free()] {
        done(outcome)?;
    }
    Ok(())
}

#[test]
fn the_wire_has_a_reply_and_frames() -> Given<()> {
    let engine = group_of(2);
    let left = apply(engine, r#"{"leave":{"user":"1","group":"7"}}"#, 2000)?;
    let reply = given(|out| disband_outcome_wire_reply(left, out)).map(taken)?;
    assert_eq!(reply, r#"{"ok":true,"code":200,"msg":"OK"}"#);
    assert_eq!(given(|out| disband_outcome_signal_count(left, out))?, 2);
    let frame = |index, versioned| {
        given(|out| disband_outcome_wire_frame(left, index, versioned, out)).map(taken)
    };
    let kick =
        r#"{"key":"00000000000000000000000000000002","from":"1","type":"memberkick","groupid":"7""#;
    assert_eq!(frame(0, false)?, format!("{kick}}}"));
    assert_eq!(frame(0, true)?, format!(r#"{kick},"version":3}}"#));
    for index in [2, usize::MAX] {
        assert_eq!(frame(index, true), Err(disband_status::BadArgument));
        assert_eq!(last_error(), format!("there is no signal {index}"));
        let audience = given(|out| disband_outcome_audience(left, index, out));
        assert_eq!(audience, Err(disband_status::BadArgument));
    }
    done(left.free())?;
    done(engine.free())
}

#[test]
fn a_dissolved_group_can_be_archived() -> Given<()> {
    let engine = group_of(5);
    for at in 1..=3 {
        let post = format!(r#"{{"post":{{"author":"2","group":"7","message":"{at}"}}}}"#);
        assert_eq!(code_of(engine, &post, 2000 + at)?, 200);
    }
    let left = apply(engine, r#"{"leave":{"user":"1","group":"7"}}"#, 3000)?;
    assert_eq!(given(|out| disband_outcome_dissolved_count(left, out))?, 1);
    let none = given(|out| disband_outcome_dissolved(left, 1, out));
    assert_eq!(none, Err(disband_status::BadArgument));
    let group = given(|out| disband_outcome_dissolved(left, 0, out))?;
    done(left.free())?;
    done(engine.free())?;

    let summary = given(|out| disband_dissolved_summary(group, out))?;
    assert_eq!(summary, disband_summary { members: 5, entries: 3 });
    let view = given(|out| disband_dissolved_group(group, JSON, out)).map(taken)?;
    assert!(view.starts_with(r#"{"owner":"1","options":{"#), "{view}");
    let members = |after: &str, limit| {
        given(|out| disband_dissolved_members(group, JSON, after.as_bytes().into(), limit, out))
            .map(taken)
    };
    assert_eq!(members("", 1)?, r#"[{"user":"1","stint":1,"rank":"owner"}]"#);
    assert_eq!(members(r#""4""#, 9)?, r#"[{"user":"5","stint":5,"rank":"member"}]"#);
    assert_eq!(members("4", 9), Err(disband_status::BadFormat));
    let history = |before: Option<u64>, limit| {
        given(|out| disband_dissolved_history(group, JSON, before.as_ref(), limit, out)).map(taken)
    };
    let entry = |at: u64| {
        let (seq, at_ms) = (at - 1, 2000 + at);
        format!(
            r#"{{"seq":{seq},"at":{at_ms},"author":"2","message":"{at}","edited":null,"erased_by":null}}"#
        )
    };
    assert_eq!(history(None, 1)?, format!("[{}]", entry(3)));
    assert_eq!(history(Some(2), u64::MAX)?, format!("[{},{}]", entry(2), entry(1)));
    assert_eq!(history(Some(0), 1)?, "[]");
    done(group.free())
}

#[test]
fn all_groups_that_a_user_dissolved_are_there_in_order() -> Given<()> {
    let engine = engine(NUMBERS);
    for group in 1..=50 {
        let create = format!(r#"{{"create":{{"owner":"1","group":"{group}"}}}}"#);
        assert_eq!(code_of(engine, &create, 1)?, 200);
        for user in 2..2 + group % 3 {
            let join = format!(r#"{{"join":{{"user":"{user}","group":"{group}"}}}}"#);
            assert_eq!(code_of(engine, &join, 1)?, 200);
        }
    }
    let left = apply(engine, r#"{"leave_all":{"user":"1"}}"#, 2)?;
    assert_eq!(given(|out| disband_outcome_dissolved_count(left, out))?, 50);
    for index in 0..50 {
        let group = given(|out| disband_outcome_dissolved(left, index, out))?;
        let summary = given(|out| disband_dissolved_summary(group, out))?;
        assert_eq!(summary.members, 1 + (index as u64 + 1) % 3);
        done(group.free())?;
    }
    done(left.free())?;
    done(engine.free())
}
