use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::*;

const CONTENT: &[u8] = b"the weights of a small network";

const PUBLISHED: Published = Published {
    name: "small",
    purpose: "tests",
    file: "small.pth",
    url: "",
    bytes: CONTENT.len() as u64,
    sha256: "85dce83611fea914d0f519c5906f04b4f43096e6ddd250523b660a0bf4cb26c4",
    license: "none",
};

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Answer {
    /// Sends the part asked for.
    Part,
    /// Sends everything, whatever was asked for.
    Whole,
    /// Promises everything, and hangs up after this many bytes.
    Broken(usize),
    /// Sends other bytes of the same length.
    Wrong,
    /// Sends more than the file, without a length.
    Long,
    /// Sends a byte every tenth of a second.
    Slow,
    Missing,
}

/// Starts a server that answers one request after another. Its thread returns the first byte that each request asked for.
fn serve(answers: &'static [Answer]) -> (String, JoinHandle<Vec<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/small.pth", listener.local_addr().expect("bound"));
    let server = thread::spawn(move || {
        answers
            .iter()
            .map(|&answer| {
                let (stream, _) = listener.accept().expect("a request");
                respond(stream, answer).expect("an answer")
            })
            .collect()
    });
    (url, server)
}

fn respond(mut stream: TcpStream, answer: Answer) -> io::Result<usize> {
    let mut from = 0;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().expect("a number");
        }
        if line.is_empty() {
            break;
        }
    }
    let wrong = [b'x'; CONTENT.len()];
    let (status, promised, sent) = match answer {
        Answer::Part if from > 0 => (
            "206 Partial Content",
            CONTENT.len() - from,
            &CONTENT[from..],
        ),
        Answer::Part | Answer::Whole => ("200 OK", CONTENT.len(), CONTENT),
        Answer::Broken(after) => ("200 OK", CONTENT.len(), &CONTENT[..after]),
        Answer::Wrong => ("200 OK", CONTENT.len(), &wrong[..]),
        Answer::Long => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            stream.write_all(&CONTENT.repeat(3))?;
            return Ok(from);
        }
        Answer::Slow => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            for byte in CONTENT.repeat(3) {
                thread::sleep(Duration::from_millis(100));
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
            }
            return Ok(from);
        }
        Answer::Missing => ("404 Not Found", 0, &[][..]),
    };
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {promised}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(sent)?;
    Ok(from)
}

/// Fetches once for each answer. Returns the results, and the first byte that each request asked for.
fn fetched(answers: &'static [Answer], path: &Path) -> (Vec<Result<(), String>>, Vec<usize>) {
    let (url, server) = serve(answers);
    let results = answers
        .iter()
        .map(|_| fetch(&PUBLISHED, &url, path).map_err(|failure| failure.to_string()))
        .collect();
    (results, server.join().expect("the server is well"))
}

#[test]
fn a_file_is_downloaded_and_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.pth");
    let (results, _) = fetched(&[Answer::Part], &path);
    assert_eq!(results, [Ok(())]);
    assert_eq!(fs::read(&path).expect("a file"), CONTENT);
    check(&PUBLISHED, &path).expect("the file published");
    assert!(!path.with_added_extension("part").exists());
}

#[test]
fn an_interrupted_download_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.pth");
    let (results, from) = fetched(&[Answer::Broken(7), Answer::Part], &path);
    let reason = results[0].as_ref().expect_err("it was interrupted");
    assert!(
        reason.contains("small.pth") && reason.contains("7 bytes"),
        "{reason}"
    );
    assert_eq!((&results[1], &from[..]), (&Ok(()), &[0, 7][..]));
    assert_eq!(fs::read(&path).expect("a file"), CONTENT);
}

#[test]
fn a_server_that_knows_no_parts_sends_all_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.pth");
    let (results, from) = fetched(&[Answer::Broken(7), Answer::Whole], &path);
    assert_eq!((&results[1], &from[..]), (&Ok(()), &[0, 7][..]));
    assert_eq!(fs::read(&path).expect("a file"), CONTENT);
}

#[test]
fn another_file_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.pth");
    let (results, _) = fetched(&[Answer::Wrong], &path);
    let reason = results[0].as_ref().expect_err("it is another file");
    assert!(reason.contains(PUBLISHED.sha256), "{reason}");
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0);

    fs::write(&path, b"damaged").expect("written");
    let failure = check(&PUBLISHED, &path).expect_err("it is damaged");
    assert!(failure.to_string().contains("remove it"), "{failure}");
}

#[test]
fn what_a_server_does_not_have_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.pth");
    let (results, _) = fetched(&[Answer::Missing], &path);
    let reason = results[0].as_ref().expect_err("it is missing");
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "an empty file is left");
    assert!(
        reason.contains("404") && reason.contains("small.pth"),
        "{reason}"
    );
}

#[test]
fn two_at_once_do_not_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.pth");
    let first = Download::open(&PUBLISHED, &path.with_added_extension("part"));
    let failure = fetch(&PUBLISHED, "http://localhost/", &path).expect_err("it is locked");
    assert!(failure.to_string().contains("another chimle"), "{failure}");
    drop(first);
}

#[test]
fn a_body_that_is_too_long_does_not_block_the_next_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.pth");
    let (results, from) = fetched(&[Answer::Long, Answer::Whole], &path);
    let reason = results[0].as_ref().expect_err("it is too long");
    assert!(reason.contains("longer"), "{reason}");
    assert_eq!((&results[1], &from[..]), (&Ok(()), &[0, 0][..]));
    assert_eq!(fs::read(&path).expect("a file"), CONTENT);

    // A part that an earlier version left.
    fs::remove_file(&path).expect("removed");
    fs::write(path.with_added_extension("part"), CONTENT.repeat(2)).expect("written");
    let (results, from) = fetched(&[Answer::Part], &path);
    assert_eq!((&results[0], &from[..]), (&Ok(()), &[0][..]));
    assert_eq!(fs::read(&path).expect("a file"), CONTENT);
}

#[test]
fn a_download_ends_also_if_every_read_gets_something() {
    let (url, server) = serve(&[Answer::Slow]);
    let limit = Duration::from_millis(500);
    let begun = std::time::Instant::now();
    let mut body = get(&url, 0, limit)
        .expect("an answer")
        .into_body()
        .into_reader();
    let received = copy(&mut body, |_| Ok(()));
    assert!(received.is_err());
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    drop(body);
    server.join().expect("the server is well");
}
