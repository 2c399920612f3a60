//! Networks for tests: namespaces joined by veth pairs, removed at the end of the test.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A network namespace.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// Creates a namespace with loopback up.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sniffer-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(&["ip", "netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Runs `ip` in the namespace.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &[&str]) {
        run(&[&["ip", "-n", &self.name], arguments].concat());
    }

    /// Changes a kernel setting of the namespace.
    #[track_caller]
    pub(crate) fn sysctl(&self, setting: &str) {
        run(&["ip", "netns", "exec", &self.name, "sysctl", "-q", "-w", setting]);
    }

    /// Returns a command that runs in the namespace.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Sets an interface up, with addresses that can be used at once.
    #[track_caller]
    pub(crate) fn up(&self, interface: &str, addresses: &[&str]) {
        for address in addresses {
            let v6: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            self.ip(&[&["addr", "add", address, "dev", interface], v6].concat());
        }
        self.ip(&["link", "set", interface, "up"]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Creates a veth pair between two namespaces. Both interfaces are down.
#[track_caller]
pub(crate) fn join(one: (&Namespace, &str), other: (&Namespace, &str)) {
    one.0.ip(&["link", "add", one.1, "type", "veth", "peer", "name", other.1, "netns", &other.0.name]);
}

/// Makes a client (10.9.0.1, fd09::1, interface `vc`) and a server (10.9.0.2, fd09::2, `vs`),
/// joined directly.
pub(crate) fn pair() -> (Namespace, Namespace) {
    let (client, server) = (Namespace::new(), Namespace::new());
    join((&client, "vc"), (&server, "vs"));
    client.up("vc", &["10.9.0.1/24", "fd09::1/64"]);
    server.up("vs", &["10.9.0.2/24", "fd09::2/64"]);
    (client, server)
}

#[track_caller]
pub(crate) fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
    assert!(output.status.success(), "{}: {}", command.join(" "), String::from_utf8_lossy(&output.stderr));
}
