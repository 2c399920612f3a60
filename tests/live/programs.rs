//! The sniffer and the programs around it. Each is started, is ready when its function returns, and
//! is killed at the end of the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};

use crate::common;
use crate::net::Namespace;

/// Time limit of every wait, longer than anything takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A child process that is killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits until it exits, for at most [`PATIENCE`].
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running `sniffer live`, with its log.
pub(crate) struct Sniffer {
    pub(crate) process: Running,
    log: Receiver<String>,
    /// The log lines read so far.
    pub(crate) logged: Vec<Map<String, Value>>,
}

impl Sniffer {
    /// Starts it in a namespace with this environment alone. Returns once it captures.
    #[track_caller]
    pub(crate) fn start(inside: &Namespace, arguments: &[&str], environment: &[(&str, &str)], stdout: Stdio) -> Self {
        let mut command = inside.command(common::binary());
        command.arg("live").args(arguments);
        let mut sniffer = Self::spawn(command, environment, stdout);
        sniffer.until("started");
        sniffer
    }

    pub(crate) fn spawn(mut command: Command, environment: &[(&str, &str)], stdout: Stdio) -> Self {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(environment.iter().copied()).stdout(stdout).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process: Running(child), log, logged: Vec::new() }
    }

    /// Reads the log up to a line with this message.
    #[track_caller]
    pub(crate) fn until(&mut self, message: &str) -> Map<String, Value> {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line {message:?} in the log: {:?}", self.logged));
            let parsed: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            let Value::Object(fields) = parsed else { panic!("not an object: {line}") };
            let keys: Vec<_> = fields.keys().take(3).map(String::as_str).collect();
            assert_eq!(keys, ["timestamp", "level", "message"], "{line}");
            self.logged.push(fields.clone());
            if fields["message"] == message {
                return fields;
            }
        }
    }

    /// Sends SIGTERM and returns the last log line. Checks the exit code and that every message is
    /// accounted for.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Map<String, Value> {
        self.process.signal(Signal::TERM);
        self.ended(0)
    }

    /// Waits until it exits with this code and returns the last log line.
    #[track_caller]
    pub(crate) fn ended(&mut self, code: i32) -> Map<String, Value> {
        let last = self.until("stopped");
        assert_eq!(self.process.wait().code(), Some(code), "{:?}", self.logged);
        balanced(&last);
        last
    }
}

/// Checks that every message and every byte in the last log line has one fate.
#[track_caller]
fn balanced(last: &Map<String, Value>) {
    let number = |value: &Value| value.as_u64().unwrap();
    let sum = |value: &Value| value.as_object().unwrap().values().map(number).sum::<u64>();
    for (name, output) in last["outputs"].as_object().unwrap() {
        assert_eq!(output["queued"], 0, "{name}: {output}");
        let ended = number(&output["delivered"]) + sum(&output["dropped"]);
        assert_eq!(number(&output["emitted"]), ended, "{name}: {output}");
    }
    let ledger = &last["ledger"];
    assert_eq!((number(&ledger["payload"]), &ledger["pending"]), (sum(&ledger["bytes"]), &Value::from(0)), "{ledger}");
}

/// Checks that no packet was lost anywhere.
#[track_caller]
pub(crate) fn lost_nothing(last: &Map<String, Value>) {
    for drops in ["kernelDrops", "interfaceDrops", "ringDrops", "unrecorded"] {
        assert_eq!(last[drops], 0, "{drops} in {last:?}");
    }
}

/// Starts nginx with some files, on ports 80 and 8080 of every address.
pub(crate) fn nginx(inside: &Namespace, folder: &Path) -> Running {
    let www = folder.join("www");
    std::fs::create_dir_all(&www).unwrap();
    std::fs::write(www.join("small.json"), "{\"a\":1}").unwrap();
    std::fs::write(
        www.join("page.txt"),
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n".repeat(300),
    )
    .unwrap();
    std::fs::write(www.join("binary.bin"), (0..60_000_u32).map(|n| (n * 7 % 251) as u8).collect::<Vec<_>>()).unwrap();
    let (path, top) = (folder.display(), folder.join("nginx.conf"));
    let configuration = format!(
        "daemon off; master_process off; pid {path}/nginx.pid; error_log {path}/error.log;
         events {{ worker_connections 512; }}
         http {{
           access_log off; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/f;
           uwsgi_temp_path {path}/u; scgi_temp_path {path}/s; keepalive_requests 100000; gzip on; gzip_types text/plain;
           server {{ listen 80; listen [::]:80; listen 8080; root {path}/www;
             location /echo {{ return 200 'method=$request_method length=$content_length'; }} }}
         }}"
    );
    std::fs::write(&top, configuration).unwrap();
    let child = inside.command("nginx").arg("-e").arg(folder.join("error.log")).arg("-c").arg(&top).spawn().unwrap();
    let running = Running(child);
    // nginx writes its pid file once it listens.
    let until = std::time::Instant::now() + PATIENCE;
    while std::fs::read_to_string(folder.join("nginx.pid")).unwrap_or_default().trim().is_empty() {
        assert!(std::time::Instant::now() < until, "nginx does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    running
}

/// Runs wrk for a second, with several kinds of requests on a few connections, at a rate that an
/// unoptimised build can follow.
#[track_caller]
pub(crate) fn wrk(inside: &Namespace, folder: &Path, host: &str) {
    let script = "
        local n = 0
        local paths = {'/small.json', '/page.txt', '/binary.bin', '/missing'}
        request = function()
          n = n + 1
          if n % 5 == 0 then return wrk.format('POST', '/echo', {Authorization='Bearer hush'}, string.rep('x', n % 3000)) end
          local encoding = n % 3 == 0 and 'gzip' or 'identity'
          return wrk.format('GET', paths[n % #paths + 1], {['Accept-Encoding']=encoding, Cookie='id=hush'})
        end
        delay = function() return 20 end";
    let path = folder.join("wrk.lua");
    std::fs::write(&path, script).unwrap();
    let output = inside
        .command("wrk")
        .args(["-t1", "-c4", "-d1s", "--timeout", "10s", "-s"])
        .arg(&path)
        .arg(format!("http://{host}/"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("requests in") && !said.contains(" 0 requests in"), "{said}");
}

/// Starts tcpdump, which writes to a file.
pub(crate) fn tcpdump(inside: &Namespace, interface: &str, file: &Path) -> Running {
    let mut command = inside.command("tcpdump");
    command.args(["-i", interface, "-p", "-B", "65536", "-U", "-Z", "root", "-w"]).arg(file).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "tcpdump does not listen");
    }
    child.stderr = Some(stderr.into_inner());
    Running(child)
}

/// Stops tcpdump and checks that it lost no packet.
#[track_caller]
pub(crate) fn end_tcpdump(mut tcpdump: Running) {
    tcpdump.signal(Signal::INT);
    let stderr = BufReader::new(tcpdump.0.stderr.take().unwrap());
    let said: Vec<_> = stderr.lines().map_while(Result::ok).collect();
    assert!(said.iter().any(|line| line.trim() == "0 packets dropped by kernel"), "{said:?}");
    tcpdump.wait();
}
