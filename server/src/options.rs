//! The options of a server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use disband::Config;

/// The options of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on. Port 0, the default, takes any free port.
    pub listen: SocketAddr,
    /// The engine's configuration. It replaces the one of the last start. Its instance number is the id
    /// of the cluster: 0 stands for a random one, or for that of the data folder. Without
    /// [`message_bytes_total`](disband::Limits::message_bytes_total) or
    /// [`memberships_total`](disband::Limits::memberships_total), they follow from the memory of the
    /// machine.
    pub config: Config,
    /// Folder to keep the data in. With `None`, all data is lost when the server ends.
    pub data: Option<PathBuf>,
    /// Take a snapshot after this many bytes of log.
    pub snapshot_every: u64,
    /// How many bytes a file of the log has.
    pub segment_bytes: u64,
    /// No file holds an erased message, or the history of a dissolved group, for longer than this.
    pub forget_after: Duration,
    /// Refuse commands while the disk has fewer free bytes than this.
    pub min_free: u64,
    /// How long a client may take to send the headers of a request.
    pub header_timeout: Duration,
    /// The nodes that are founded together. `None` for a node that is alone.
    pub together: Option<Together>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            config: Config::default(),
            data: None,
            snapshot_every: 64 << 20,
            segment_bytes: 16 << 20,
            forget_after: Duration::from_secs(24 * 60 * 60),
            min_free: 256 << 20,
            header_timeout: Duration::from_secs(10),
            together: None,
        }
    }
}

/// Nodes that are founded together. All of them start with the same values but for `node`.
#[derive(Debug, Clone)]
pub struct Together {
    /// The number of this node.
    pub node: u64,
    /// The address that each node listens on for the others, by number.
    pub nodes: BTreeMap<u64, String>,
    /// Where this node listens for the others.
    pub listen: SocketAddr,
}
