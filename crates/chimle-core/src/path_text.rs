//! Paths in configurations, logs and reports.
//!
//! A path is written as text. On Unix, a path that is not UTF-8 is written with its bytes in hexadecimal, such
//! as `{ bytes = "2f746d702fff" }`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The serialized form of a path.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes { bytes: String },
}

pub(crate) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    let written = match path.to_str() {
        Some(text) => Written::Text(text.to_owned()),
        None => Written::Bytes {
            bytes: hexadecimal(path.as_os_str().as_encoded_bytes()),
        },
    };
    written.serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    match Written::deserialize(from)? {
        Written::Text(text) => Ok(text.into()),
        Written::Bytes { bytes } => {
            let path = bytes_of(&bytes).and_then(path_of);
            path.ok_or_else(|| serde::de::Error::custom(format!("`{bytes}` is not a path")))
        }
    }
}

/// The same serialization for a path that may be missing.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Present<'a>(#[serde(with = "super")] &'a Path);
        path.as_deref().map(Present).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "super")] PathBuf);
        let path: Option<Present> = Option::deserialize(from)?;
        Ok(path.map(|Present(path)| path))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, []) = hexadecimal.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |[high, low]: &[u8; 2]| Some((digit(high)? * 16 + digit(low)?) as u8);
    pairs.iter().map(byte).collect()
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

/// On other systems, a path is not a sequence of bytes, so only UTF-8 is accepted.
#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(default, with = "super::option")]
        other: Option<PathBuf>,
    }

    #[test]
    fn a_path_is_text() {
        let paths = Paths {
            one: "/photos/ä b".into(),
            other: None,
        };
        let text = toml::to_string(&paths).unwrap();
        assert_eq!(text, "one = \"/photos/ä b\"\n");
        assert_eq!(toml::from_str::<Paths>(&text).unwrap(), paths);
        for wrong in [
            "one = 1",
            "one = { bytes = \"f\" }",
            "one = { bytes = \"+1\" }",
        ] {
            assert!(toml::from_str::<Paths>(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf_8_is_written_and_read_again() {
        let odd = path_of(b"/photos/\xff\xfe".to_vec()).unwrap();
        let paths = Paths {
            one: odd.clone(),
            other: Some(odd),
        };
        let text = toml::to_string(&paths).unwrap();
        assert_eq!(toml::from_str::<Paths>(&text).unwrap(), paths);
        let text = serde_json::to_string(&paths).unwrap();
        assert_eq!(serde_json::from_str::<Paths>(&text).unwrap(), paths);
    }
}
