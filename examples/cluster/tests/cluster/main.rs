//! Tests of whole clusters: replicas are killed, partitioned and wiped. `replicas` runs them in
//! this process, `kills` in processes of their own.
//!
//! In commands, a stint is one unbroken membership of one user in one group; `None` means
//! the current one.

mod kills;
mod replicas;
mod subscribers;
