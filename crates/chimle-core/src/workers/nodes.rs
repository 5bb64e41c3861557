//! Runs on several machines: how the machines connect, and how they learn that one of them has failed.
//!
//! An [`Orchestrator`] keeps two connections to every machine. The first connection carries messages, which
//! are lines of JSON. The second connection carries numbers: each machine sends numbers, and the orchestrator
//! answers with their sum. The orchestrator always adds them in the same order of machines, so a run can be
//! repeated bit for bit.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;

/// The time between two signs of life of a machine.
const BEAT: Duration = Duration::from_secs(1);
/// The time without a sign of life after which a machine counts as failed.
const SILENCE: Duration = Duration::from_secs(15);
/// The interval at which a machine that waits for a sum checks whether another machine has failed.
const LOOK: Duration = Duration::from_millis(200);
/// The largest count of numbers that are added at once. They take 4 GiB.
const MOST_NUMBERS: u64 = 1 << 30;
/// The largest length of a message in bytes. A configuration has a few thousand bytes.
const LONGEST_MESSAGE: u64 = 1 << 20;

/// The largest number of machines of a run. Each machine takes two connections and a thread of the
/// orchestrator.
const MOST_NODES: usize = 1024;

/// The settings with which a machine joins a run on several machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodesConfig {
    /// The address of the [`Orchestrator`], `HOST:PORT`.
    pub orchestrator: String,
    /// The name of this machine in messages.
    pub name: String,
}

/// The description of its run that a machine sends when it joins. All fields except `name` must be equal on
/// all machines of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Joining {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) config: Value,
    pub(crate) data: String,
    pub(crate) step: u64,
    pub(crate) workers: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ToOrchestrator {
    Join(Box<Joining>),
    /// This connection carries the numbers of the machine with the index `node`.
    Numbers {
        node: usize,
    },
    /// A sign of life, with the number of sums that the machine has begun, and whether the machine waits for
    /// a sum.
    Beat {
        sums: u64,
        waits: bool,
    },
    Done,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FromOrchestrator {
    Welcome { node: usize, nodes: usize },
    Refused { reason: String },
    Failed { name: String, reason: String },
}

fn send(stream: &mut TcpStream, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message).expect("a message is plain data");
    line.push(b'\n');
    stream.write_all(&line)
}

fn receive<T: for<'de> Deserialize<'de>>(reader: &mut BufReader<TcpStream>) -> Option<T> {
    let mut line = Vec::new();
    let mut limited = reader.take(LONGEST_MESSAGE);
    limited.read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

/// The membership of this machine in a run.
pub(crate) struct Membership {
    node: usize,
    nodes: usize,
    shared: Arc<Shared>,
    stream: TcpStream,
    numbers: Mutex<TcpStream>,
}

#[derive(Default)]
struct Shared {
    sums: AtomicU64,
    waiting: AtomicUsize,
    failure: Mutex<Option<(String, String)>>,
}

impl Membership {
    /// Joins a run and waits until all machines have joined.
    pub(crate) fn join(config: &NodesConfig, joining: Joining) -> Result<Self, Error> {
        let unreachable = |error: std::io::Error| Error::Node {
            name: config.orchestrator.clone(),
            reason: format!("the orchestrator cannot be reached: {error}"),
        };
        let mut stream = TcpStream::connect(&config.orchestrator).map_err(unreachable)?;
        send(&mut stream, &ToOrchestrator::Join(Box::new(joining))).map_err(unreachable)?;
        let mut reader = BufReader::new(stream.try_clone().map_err(unreachable)?);
        let shared = Arc::new(Shared::default());
        // Signs of life are sent from now on, also while this machine waits for the others to join.
        let beats = stream.try_clone().map_err(unreachable)?;
        thread::spawn({
            let shared = Arc::downgrade(&shared);
            let mut stream = beats;
            move || {
                while let Some(shared) = shared.upgrade() {
                    let sums = shared.sums.load(Ordering::Relaxed);
                    let waits = shared.waiting.load(Ordering::Relaxed) > 0;
                    drop(shared);
                    if send(&mut stream, &ToOrchestrator::Beat { sums, waits }).is_err() {
                        break;
                    }
                    thread::sleep(BEAT);
                }
            }
        });
        let gone = || Error::Node {
            name: config.orchestrator.clone(),
            reason: "the orchestrator ended".to_owned(),
        };
        let (node, nodes) = match receive(&mut reader).ok_or_else(gone)? {
            FromOrchestrator::Welcome { node, nodes } => (node, nodes),
            FromOrchestrator::Refused { reason } => {
                return Err(Error::Node {
                    name: config.name.clone(),
                    reason,
                });
            }
            FromOrchestrator::Failed { name, reason } => return Err(Error::Node { name, reason }),
        };
        let mut numbers = TcpStream::connect(&config.orchestrator).map_err(unreachable)?;
        numbers.set_nodelay(true).map_err(unreachable)?;
        numbers.set_read_timeout(Some(LOOK)).map_err(unreachable)?;
        send(&mut numbers, &ToOrchestrator::Numbers { node }).map_err(unreachable)?;
        thread::spawn({
            let shared = shared.clone();
            let name = config.orchestrator.clone();
            move || {
                let failed = match receive(&mut reader) {
                    Some(FromOrchestrator::Failed { name, reason }) => (name, reason),
                    _ => (name, "the orchestrator ended".to_owned()),
                };
                let mut failure = shared
                    .failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(failed);
            }
        });
        Ok(Self {
            node,
            nodes,
            numbers: Mutex::new(numbers),
            shared,
            stream,
        })
    }

    pub(super) fn node(&self) -> usize {
        self.node
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Returns the sum of the numbers of all machines. All machines must call this function, with the same
    /// count of numbers.
    pub(super) fn sum(&self, numbers: Vec<f32>) -> Result<Vec<f32>, Error> {
        let _waiting = self.waits();
        let mut stream = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::with_capacity(8 + 4 * numbers.len());
        bytes.extend_from_slice(&(numbers.len() as u64).to_le_bytes());
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let closed = |_: std::io::Error| {
            // Waits for the orchestrator to send the reason.
            thread::sleep(2 * LOOK);
            self.failure().unwrap_or_else(|| Error::Node {
                name: "orchestrator".to_owned(),
                reason: "it closed the connection".to_owned(),
            })
        };
        stream.write_all(&bytes).map_err(closed)?;
        let sum = &mut bytes[8..];
        let mut read = 0;
        while read < sum.len() {
            match stream.read(&mut sum[read..]) {
                Ok(0) => return Err(closed(ErrorKind::UnexpectedEof.into())),
                Ok(count) => read += count,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        if let Some(failure) = self.failure() {
                            return Err(failure);
                        }
                    }
                    ErrorKind::Interrupted => {}
                    _ => return Err(closed(error)),
                },
            }
        }
        Ok(floats(sum).collect())
    }

    /// Records that this machine waits for the others, until the guard is dropped. The signs of life carry
    /// this to the orchestrator.
    fn waits(&self) -> Waiting<'_> {
        self.shared.sums.fetch_add(1, Ordering::Relaxed);
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.shared.waiting)
    }

    /// Returns the failure of a machine, if one has failed.
    fn failure(&self) -> Option<Error> {
        let failure = self.shared.failure.lock();
        let failure = failure.unwrap_or_else(PoisonError::into_inner);
        failure
            .clone()
            .map(|(name, reason)| Error::Node { name, reason })
    }

    /// Tells the orchestrator that this machine has ended without an error.
    pub(crate) fn done(&self) {
        if let Ok(mut stream) = self.stream.try_clone() {
            let _ = send(&mut stream, &ToOrchestrator::Done);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// See [`Membership::waits`].
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A server that connects the machines of one run, and tells the other machines when one machine fails.
///
/// It sums the machines' gradients and does no other computation. Only the machines of the run should be able
/// to reach its port, because there is neither encryption nor a password.
#[derive(Debug)]
pub struct Orchestrator {
    listener: TcpListener,
    nodes: usize,
    patience: Duration,
}

/// A message or an end of the connection that the orchestrator receives from a machine.
enum Received {
    Message(ToOrchestrator),
    /// The connection is closed.
    Closed,
}

/// The orchestrator's record of a machine.
struct Node {
    joining: Joining,
    stream: TcpStream,
    heard: Instant,
    sums: u64,
    waits: bool,
    /// The time at which the number of sums last grew.
    moved: Instant,
    done: bool,
}

impl Orchestrator {
    /// Listens on an address, `HOST:PORT`, for `nodes` machines. If the others wait for a machine, and this
    /// machine makes no progress for `patience`, it counts as hung.
    ///
    /// # Errors
    ///
    /// If the orchestrator cannot listen on the address, or `nodes` is not from 2 to 1024.
    pub fn listen(address: &str, nodes: usize, patience: Duration) -> Result<Self, Error> {
        if !(2..=MOST_NODES).contains(&nodes) {
            return Err(Error::Setting {
                field: "nodes",
                reason: format!("must be from 2 to {MOST_NODES}, not {nodes}"),
            });
        }
        let listen = || {
            let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
            TcpListener::bind(&addresses[..])
        };
        let listener = listen().map_err(|error| Error::Node {
            name: address.to_owned(),
            reason: format!("the orchestrator cannot listen on this address: {error}"),
        })?;
        Ok(Self {
            listener,
            nodes,
            patience,
        })
    }

    /// Returns the port that the orchestrator listens on.
    ///
    /// # Errors
    ///
    /// If the operating system does not report the port.
    pub fn port(&self) -> Result<u16, Error> {
        let address = self.listener.local_addr().map_err(|error| Error::Node {
            name: "orchestrator".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(address.port())
    }

    /// Waits for the machines, starts their run, and watches the run until it ends. `report` is called with
    /// one line for each event.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] if the machines do not agree on the version, the configuration, the data, the number
    /// of devices or the step, or if a machine fails or hangs. The other machines are told before this
    /// function returns.
    pub fn run(self, report: &dyn Fn(&str)) -> Result<(), Error> {
        let (sender, receiver) = channel();
        let patience = self.patience;
        let mut nodes = self.gather(&sender, &receiver, report)?;
        if let Some(reason) = disagreement(&nodes) {
            let refused = FromOrchestrator::Refused {
                reason: reason.clone(),
            };
            for node in &mut nodes {
                let _ = send(&mut node.stream, &refused);
            }
            return Err(Error::Node {
                name: "orchestrator".to_owned(),
                reason,
            });
        }
        let count = nodes.len();
        for (index, node) in nodes.iter_mut().enumerate() {
            let welcome = FromOrchestrator::Welcome {
                node: index,
                nodes: count,
            };
            let _ = send(&mut node.stream, &welcome);
        }
        report("all machines have joined");
        // If a machine fails, its connection closes, and this thread ends.
        thread::spawn(move || add_numbers(&self.listener, count));
        let failed = watch(&mut nodes, &receiver, patience);
        match failed {
            None => {
                report("the run has ended on all machines");
                Ok(())
            }
            Some((name, reason)) => {
                let failed = FromOrchestrator::Failed {
                    name: name.clone(),
                    reason: reason.clone(),
                };
                for node in nodes.iter_mut().filter(|node| !node.done) {
                    let _ = send(&mut node.stream, &failed);
                }
                Err(Error::Node { name, reason })
            }
        }
    }

    /// Waits until all machines have joined.
    fn gather(
        &self,
        sender: &Sender<(usize, Received)>,
        receiver: &Receiver<(usize, Received)>,
        report: &dyn Fn(&str),
    ) -> Result<Vec<Node>, Error> {
        let mut nodes: Vec<Node> = Vec::new();
        while nodes.len() < self.nodes {
            let Ok((stream, address)) = self.listener.accept() else {
                continue;
            };
            // A connection that does not join within this time does not belong to the run.
            let _ = stream.set_read_timeout(Some(SILENCE));
            let Ok(clone) = stream.try_clone() else {
                continue;
            };
            let mut reader = BufReader::new(clone);
            let Some(ToOrchestrator::Join(joining)) = receive(&mut reader) else {
                continue;
            };
            let _ = stream.set_read_timeout(None);
            let index = nodes.len();
            report(&format!("{} joined from {address}", joining.name));
            let now = Instant::now();
            nodes.push(Node {
                joining: *joining,
                stream,
                heard: now,
                sums: 0,
                waits: false,
                moved: now,
                done: false,
            });
            let sender = sender.clone();
            thread::spawn(move || {
                while let Some(message) = receive(&mut reader) {
                    if sender.send((index, Received::Message(message))).is_err() {
                        return;
                    }
                }
                let _ = sender.send((index, Received::Closed));
            });
            // Checks whether a machine left while the orchestrator waited for the others.
            while let Ok((index, received)) = receiver.try_recv() {
                if matches!(received, Received::Closed) {
                    return Err(Error::Node {
                        name: nodes[index].joining.name.clone(),
                        reason: "it left before all machines had joined".to_owned(),
                    });
                }
            }
        }
        let now = Instant::now();
        for node in &mut nodes {
            (node.heard, node.moved) = (now, now);
        }
        Ok(nodes)
    }
}

/// Watches a run until all machines are done. If a machine fails, returns its name and the reason.
fn watch(
    nodes: &mut [Node],
    receiver: &Receiver<(usize, Received)>,
    patience: Duration,
) -> Option<(String, String)> {
    while nodes.iter().any(|node| !node.done) {
        match receiver.recv_timeout(BEAT) {
            Ok((index, Received::Closed)) if !nodes[index].done => {
                let name = nodes[index].joining.name.clone();
                return Some((name, "it ended before the run did".to_owned()));
            }
            Ok((_, Received::Closed)) | Err(RecvTimeoutError::Timeout) => {}
            Ok((index, Received::Message(message))) => {
                let node = &mut nodes[index];
                node.heard = Instant::now();
                match message {
                    ToOrchestrator::Beat { sums, waits } => {
                        if sums != node.sums {
                            node.moved = node.heard;
                        }
                        (node.sums, node.waits) = (sums, waits);
                    }
                    ToOrchestrator::Done => node.done = true,
                    ToOrchestrator::Join(_) | ToOrchestrator::Numbers { .. } => {}
                }
            }
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        let waits = nodes.iter().any(|node| node.waits);
        for node in nodes.iter().filter(|node| !node.done) {
            let name = node.joining.name.clone();
            if node.heard.elapsed() > SILENCE {
                let seconds = SILENCE.as_secs();
                return Some((name, format!("it sent no sign of life for {seconds} s")));
            }
            if waits && !node.waits && node.moved.elapsed() > patience {
                let seconds = patience.as_secs();
                return Some((name, format!("the others waited {seconds} s for it")));
            }
        }
    }
    None
}

/// Describes the first property that the machines do not agree on.
fn disagreement(nodes: &[Node]) -> Option<String> {
    let (first, others) = nodes.split_first()?;
    let a = &first.joining;
    for node in others {
        let b = &node.joining;
        let differs = |what: &str, of_a: &dyn std::fmt::Display, of_b: &dyn std::fmt::Display| {
            Some(format!(
                "the machines do not agree: {what} is {of_a} on {} and {of_b} on {}",
                a.name, b.name
            ))
        };
        if a.version != b.version {
            return differs("the version of chimle", &a.version, &b.version);
        }
        if let Some((key, of_a, of_b)) = difference("", &a.config, &b.config) {
            return differs(&format!("`{key}`"), &of_a, &of_b);
        }
        if a.data != b.data {
            return differs("the fingerprint of the data", &a.data, &b.data);
        }
        if a.workers != b.workers {
            return differs("the number of devices", &a.workers, &b.workers);
        }
        if a.step != b.step {
            let sentence = differs("the step of the run", &a.step, &b.step)?;
            return Some(format!(
                "{sentence}: copy the run folder from one machine to the other"
            ));
        }
    }
    None
}

/// Finds the first key at which two configurations differ. Paths may differ between machines and are not
/// compared.
fn difference(key: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    const PATHS: [&str; 5] = ["source", "validation", "init", "weights", "linear"];
    if a == b {
        return None;
    }
    if let (Value::Object(a), Value::Object(b)) = (a, b) {
        let keys = a.keys().chain(b.keys());
        for part in keys.filter(|part| !PATHS.contains(&part.as_str())) {
            let mut path = key.to_owned();
            if !path.is_empty() {
                path.push('.');
            }
            let _ = write!(path, "{part}");
            let none = Value::Null;
            let (a, b) = (a.get(part).unwrap_or(&none), b.get(part).unwrap_or(&none));
            if let Some(found) = difference(&path, a, b) {
                return Some(found);
            }
        }
        return None;
    }
    if let (Value::Array(a), Value::Array(b)) = (a, b)
        && a.len() == b.len()
    {
        return a.iter().zip(b).find_map(|(a, b)| difference(key, a, b));
    }
    Some((key.to_owned(), a.to_string(), b.to_string()))
}

/// Accepts the second connections of all machines. Then answers their numbers with sums until one of the
/// connections is closed.
fn add_numbers(listener: &TcpListener, nodes: usize) -> Option<()> {
    let mut streams: Vec<Option<TcpStream>> = (0..nodes).map(|_| None).collect();
    while streams.iter().any(Option::is_none) {
        let (stream, _) = listener.accept().ok()?;
        stream.set_read_timeout(Some(SILENCE)).ok()?;
        // Read byte by byte, because numbers follow the first line.
        let Some(ToOrchestrator::Numbers { node }) = receive_unbuffered(&stream) else {
            continue;
        };
        stream.set_read_timeout(None).ok()?;
        stream.set_nodelay(true).ok()?;
        *streams.get_mut(node)? = Some(stream);
    }
    let mut streams: Vec<TcpStream> = streams.into_iter().flatten().collect();
    let (mut sum, mut bytes) = (Vec::new(), Vec::new());
    loop {
        sum.clear();
        for (node, stream) in streams.iter_mut().enumerate() {
            let mut length = [0; 8];
            stream.read_exact(&mut length).ok()?;
            let length = u64::from_le_bytes(length);
            // All machines send the same count of numbers, and never more than a part of the gradients.
            if length > MOST_NUMBERS || (node > 0 && length != sum.len() as u64) {
                return None;
            }
            bytes.resize(4 * length as usize, 0);
            stream.read_exact(&mut bytes).ok()?;
            match node {
                0 => sum.extend(floats(&bytes)),
                _ => {
                    for (sum, number) in sum.iter_mut().zip(floats(&bytes)) {
                        *sum += number;
                    }
                }
            }
        }
        bytes.clear();
        bytes.extend(sum.iter().flat_map(|number: &f32| number.to_le_bytes()));
        for stream in &mut streams {
            stream.write_all(&bytes).ok()?;
        }
    }
}

/// Reads one message and no byte after it.
fn receive_unbuffered(mut stream: &TcpStream) -> Option<ToOrchestrator> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 1000 {
        stream.read_exact(&mut byte).ok()?;
        if byte[0] == b'\n' {
            return serde_json::from_slice(&line).ok();
        }
        line.push(byte[0]);
    }
    None
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|number| f32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str) -> Node {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let now = Instant::now();
        Node {
            joining: Joining {
                name: name.to_owned(),
                version: String::new(),
                config: Value::Null,
                data: String::new(),
                step: 0,
                workers: 1,
            },
            stream: TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
            heard: now,
            sums: 0,
            waits: false,
            moved: now,
            done: false,
        }
    }

    /// Sends signs of life for two machines. The first machine waits for a sum. If `second_moves` is set, the
    /// second machine begins a new sum with each sign of life. Otherwise it begins no sum.
    fn beats(sender: &Sender<(usize, Received)>, second_moves: bool, count: u64) {
        for beat in 0..count {
            let sums = if second_moves { beat } else { 0 };
            let waiting = ToOrchestrator::Beat {
                sums: 1,
                waits: true,
            };
            let working = ToOrchestrator::Beat { sums, waits: false };
            for (index, message) in [waiting, working].into_iter().enumerate() {
                let _ = sender.send((index, Received::Message(message)));
            }
            thread::sleep(Duration::from_millis(50));
        }
        for index in 0..2 {
            let _ = sender.send((index, Received::Message(ToOrchestrator::Done)));
        }
    }

    #[test]
    fn a_machine_that_the_others_wait_for_and_that_does_not_move_counts_as_hung() {
        let patience = Duration::from_millis(400);
        for (second_moves, expected) in [(true, None), (false, Some("second"))] {
            let (sender, receiver) = channel();
            let beating = thread::spawn(move || beats(&sender, second_moves, 20));
            let mut nodes = [node("first"), node("second")];
            let failed = watch(&mut nodes, &receiver, patience);
            assert_eq!(failed.as_ref().map(|(name, _)| name.as_str()), expected);
            drop(receiver);
            beating.join().unwrap();
        }
    }

    #[test]
    fn configurations_differ_in_values_and_not_in_paths() {
        let config = |latent: u32, source: &str| json!({ "data": { "source": source, "height": 64 }, "generator": { "latent": latent } });
        assert_eq!(difference("", &config(32, "/a"), &config(32, "/b")), None);
        let (key, a, b) = difference("", &config(32, "/a"), &config(64, "/a")).unwrap();
        assert_eq!(
            (key.as_str(), a.as_str(), b.as_str()),
            ("generator.latent", "32", "64")
        );
        let missing = json!({ "data": { "height": 64 } });
        let (key, ..) = difference("", &config(32, "/a"), &missing).unwrap();
        assert_eq!(key, "generator");
    }
}
