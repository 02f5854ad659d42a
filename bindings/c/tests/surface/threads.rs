//! Handles on several threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use disband_c::*;

use crate::call::*;

#[test]
fn two_threads_on_one_engine_lose_no_command() -> Given<()> {
    let engine = group_of(2);
    thread::scope(|scope| {
        for author in [1, 2] {
            scope.spawn(move || {
                for number in 0..2000 {
                    let post = format!(
                        r#"{{"post":{{"author":"{author}","group":"7","message":"{number}"}}}}"#
                    );
                    assert_eq!(code_of(engine, &post, 2000), Ok(200));
                }
            });
        }
    });
    assert!(read(engine, r#""stats""#)?.contains(r#""entries":4000"#));
    done(disband_engine_check(engine))?;
    done(engine.free())
}

#[test]
fn a_snapshot_is_saved_while_commands_go_on() -> Given<()> {
    let engine = group_of(2000);
    thread::scope(|scope| {
        let posts = scope.spawn(move || {
            for _ in 0..500 {
                let post = r#"{"post":{"author":"2","group":"7","message":"a"}}"#;
                assert_eq!(code_of(engine, post, 2000), Ok(200));
            }
        });
        while !posts.is_finished() {
            let bytes = saved(engine, POSTCARD);
            let loaded =
                given(|out| disband_engine_load(NUMBERS, POSTCARD, bytes[..].into(), out)).unwrap();
            assert_eq!(loaded.free(), disband_status::Ok);
        }
    });
    done(engine.free())
}

/// Another thread walks an audience and reads an engine while this one frees both. Each call either
/// succeeds or is told that the handle was freed.
#[test]
fn handles_are_freed_while_another_thread_uses_them() -> Given<()> {
    for _ in 0..20 {
        let engine = group_of(500);
        let post = r#"{"post":{"author":"1","group":"7","message":"a"}}"#;
        let posted = apply(engine, post, 2000)?;
        let audience = given(|out| disband_outcome_audience(posted, 0, out))?;
        done(posted.free())?;
        let start = Barrier::new(2);
        let (walked, freed) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                loop {
                    let were_freed = freed.load(Ordering::Acquire);
                    let page = given(|out| {
                        disband_audience_page(audience, JSON, NOTHING.into(), 500, out)
                    });
                    let users = given(|out| disband_engine_save(engine, JSON, out));
                    walked.store(true, Ordering::Relaxed);
                    match (page.map(taken), users.map(taken)) {
                        (Ok(page), Ok(_)) => {
                            assert!(!were_freed);
                            assert_eq!(page.matches(',').count(), 498);
                        }
                        (page, users) => {
                            let ended = page.err().or(users.err());
                            assert_eq!(ended, Some(disband_status::BadHandle));
                            return;
                        }
                    }
                }
            });
            start.wait();
            while !walked.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            assert_eq!(audience.free(), disband_status::Ok);
            assert_eq!(engine.free(), disband_status::Ok);
            freed.store(true, Ordering::Release);
        });
    }
    Ok(())
}

#[test]
fn only_one_of_two_threads_frees_a_handle() {
    for _ in 0..200 {
        let engine = engine(NUMBERS);
        let free = || thread::spawn(move || engine.free());
        let mut statuses = [free(), free()].map(|thread| thread.join().unwrap());
        statuses.sort_by_key(|status| *status as u32);
        assert_eq!(statuses, [disband_status::Ok, disband_status::BadHandle]);
    }
}

#[test]
fn a_thread_has_its_own_last_error() {
    assert_eq!(disband_engine_check(disband_engine { id: 0 }), disband_status::BadHandle);
    thread::spawn(|| assert_eq!(last_error(), "")).join().unwrap();
    assert_eq!(last_error(), "the handle is null, not an engine");
}

#[test]
fn threads_use_what_an_ended_thread_made() -> Given<()> {
    let engine = thread::spawn(|| group_of(3)).join().unwrap();
    let post = r#"{"post":{"author":"1","group":"7","message":"a"}}"#;
    let posted = thread::spawn(move || apply(engine, post, 2000)).join().unwrap()?;
    assert_eq!(given(|out| disband_outcome_code(posted, out))?, 200);
    done(posted.free())?;
    done(engine.free())
}
