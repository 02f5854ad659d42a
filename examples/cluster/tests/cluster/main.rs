//! Replicas that are killed, cut off and wiped, in this process and in processes of their own.

mod heard;
mod kills;
mod replicas;
