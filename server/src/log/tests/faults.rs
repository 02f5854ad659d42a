//! Tests with calls that fail, and with crashes at every call.

use super::model::{Run, Step, block_on, steps};
use super::{append, entries, view};
use crate::simulated::Fault;

const SEGMENT: u64 = 1_500;

/// How many calls all steps make.
fn calls() -> u64 {
    block_on(async {
        let mut run = Run::new(SEGMENT);
        run.all(&steps()).await.unwrap();
        run.disk.calls()
    })
}

#[test]
fn a_failed_call_loses_nothing_that_was_acknowledged() {
    for call in 1..=calls() {
        let faults = [Fault::Before, Fault::During];
        for (fault, crash) in faults.map(|fault| [(fault, false), (fault, true)]).concat() {
            block_on(async {
                let mut run = Run::new(SEGMENT);
                run.disk.fail(call, fault);
                let result = run.all(&steps()).await;
                let failed = run.is_open() && run.opened().log.failed().borrow().is_some();
                if failed {
                    assert!(result.is_err(), "call {call}");
                    let log = run.opened().log.clone();
                    let calls = run.disk.calls();
                    append(&log, entries([1_000])).await.unwrap_err();
                    assert_eq!(run.disk.calls(), calls);
                }
                // The process starts again. What it then finds must survive a power cut.
                run.open(run.disk.clone()).await.unwrap();
                if crash {
                    run.crash(call).await;
                }
                run.step(&Step::Append(vec![5])).await.unwrap();
                run.crash(call).await;
            });
        }
    }
}

#[test]
fn a_crash_at_every_call_loses_nothing_that_was_acknowledged() {
    for call in 1..=calls() {
        for seed in 0..6 {
            block_on(async {
                let mut run = Run::new(SEGMENT);
                run.disk.fail_from(call);
                let result = run.all(&steps()).await;
                assert!(result.is_err() || call + 5 > calls(), "{call}");
                run.crash(seed).await;
                run.step(&Step::Append(vec![5])).await.unwrap();
                run.step(&Step::Reopen).await.unwrap();
            });
        }
    }
}

#[test]
fn a_crash_while_the_log_is_opened_after_a_crash_loses_nothing_either() {
    for call in 1..=calls() {
        for second in 1..25 {
            block_on(async {
                let mut run = Run::new(SEGMENT);
                run.disk.fail_from(call);
                let _ = run.all(&steps()).await;
                let after = run.disk.crash(second);
                after.fail_from(second);
                let _ = run.open(after).await;
                run.crash(call).await;
            });
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let mut succeeded = 0;
    for capacity in (0..20_000).step_by(128) {
        block_on(async {
            let mut run = Run::new(SEGMENT);
            run.disk.set_capacity(Some(capacity));
            let result = run.all(&steps()).await;
            succeeded += u32::from(result.is_ok());
            if result.is_err() && run.is_open() {
                let failed = run.opened().log.failed().borrow().clone();
                assert!(failed.unwrap().contains("cannot create"), "a segment has all its space");
                // What was read before can still be read.
                view(&run.opened().log).await;
            }
            run.disk.set_capacity(None);
            run.crash(capacity).await;
            run.step(&Step::Append(vec![5])).await.unwrap();
            let named = run.disk.names().iter().any(|name| name.ends_with(".tmp"));
            assert!(!named, "no leftover stays");
        });
    }
    assert!((1..150).contains(&succeeded), "{succeeded}");
}
