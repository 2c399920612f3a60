//! Receivers for the webhook, inside a namespace.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::bridge::enter;
use crate::net::Namespace;

/// A post as received.
pub(crate) struct Post {
    /// The head, as text.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Accepts posts on 127.0.0.1 and answers 200. Its threads end with their connections.
pub(crate) fn willing(inside: &Namespace, port: u16) -> Receiver<Post> {
    let (sender, posts) = channel();
    listen(inside, port, move |stream| {
        let sender = sender.clone();
        std::thread::spawn(move || take(&stream, &sender));
    });
    posts
}

/// Accepts connections and never answers.
pub(crate) fn hanging(inside: &Namespace, port: u16) {
    let mut kept = Vec::new();
    listen(inside, port, move |stream| kept.push(stream));
}

fn listen(inside: &Namespace, port: u16, mut accepted: impl FnMut(TcpStream) + Send + 'static) {
    let (ready, is_ready) = channel();
    enter(inside, move || {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        ready.send(()).unwrap();
        listener.incoming().map_while(Result::ok).for_each(&mut accepted);
    });
    is_ready.recv().unwrap();
}

/// Reads the posts of one connection until it closes.
fn take(stream: &TcpStream, posts: &Sender<Post>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|read| read > 0) {
        if !head.ends_with("\r\n\r\n") {
            continue;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = String::from_utf8(body).unwrap();
        let sent = posts.send(Post { head: std::mem::take(&mut head), body });
        let mut stream = stream;
        if sent.is_err() || stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
