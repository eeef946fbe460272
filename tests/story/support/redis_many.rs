//! Servers that stand in for each other: a primary with a replica and a sentinel, or a cluster of six.

use super::eventually;
use super::redis::Redis;
use std::process::Command;
use tempfile::TempDir;

/// The sentinel promotes the replica when the primary is gone.
pub(crate) struct Watched {
    pub(crate) primary: Redis,
    sentinel: Redis,
    _secondary: Redis,
    _folder: TempDir,
}

/// Three primaries and three replicas.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Watched {
    pub(crate) fn start() -> Self {
        let (primary, secondary) = (Redis::start(), Redis::start());
        assert!(secondary.cli(&["replicaof", "127.0.0.1", &primary.port().to_string()]).contains("OK"));
        eventually("it replicates", || secondary.cli(&["info", "replication"]).contains("master_link_status:up"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        let watch = format!(
            "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 2000\n",
            primary.port()
        );
        std::fs::write(&file, watch).unwrap();
        let sentinel = Redis::start_with(&[file.to_str().unwrap(), "--sentinel"]);
        let port = secondary.port().to_string();
        eventually("it knows both", || sentinel.cli(&["sentinel", "replicas", "main"]).contains(&port));
        Self { primary, sentinel, _secondary: secondary, _folder: folder }
    }

    pub(crate) fn table(&self) -> String {
        store(&format!("redis+sentinel://127.0.0.1:{}/main", self.sentinel.port()))
    }
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let arguments =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"];
        let nodes: Vec<Redis> = (0..6).map(|_| Redis::start_with(&arguments)).collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())))
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        eventually("all are in order", || {
            let knowing = nodes.iter().filter(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"));
            // one that never had its primary's data cannot take over
            let replicas = nodes.iter().filter(|node| node.cli(&["role"]).contains("\nconnected"));
            (knowing.count(), replicas.count()) == (6, 3)
        });
        Self { nodes }
    }

    pub(crate) fn table(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        store(&format!("redis+cluster://{}", nodes.join(",")))
    }

    /// Which node that key is asked for.
    pub(crate) fn primary_of(&self, key: &str) -> usize {
        let slot = self.nodes[0].cli(&["cluster", "keyslot", key]);
        let holds = |node: &Redis| {
            node.cli(&["role"]).starts_with("master")
                && node.cli(&["cluster", "countkeysinslot", slot.trim()]).trim() != "0"
        };
        self.nodes.iter().position(holds).expect("somebody has it")
    }
}

fn store(url: &str) -> String {
    format!("[store]\nurl = {url:?}\ntimeout = \"500ms\"\n\n")
}
