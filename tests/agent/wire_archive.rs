//! Snapshot archives: what was saved can be restored, and whatever is wrong is named.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proconsul::base::{LogIndex, Term, WallTime};
use proconsul::raft::{Configuration, Server, SnapshotMeta, Suffrage};
use proconsul::wire::archive::{ArchiveError, read, write};

const NOW: WallTime = WallTime(1_795_248_692_521_180_000);

pub fn meta() -> SnapshotMeta {
    let server = |suffrage, id: &str, address: &str| Server {
        suffrage,
        id: id.into(),
        address: address.into(),
    };
    SnapshotMeta {
        index: LogIndex(293),
        term: Term(2),
        configuration: Configuration {
            servers: vec![
                server(Suffrage::Voter, "39f003f0", "127.0.0.52:8300"),
                server(Suffrage::Nonvoter, "93c5f076", "127.0.0.51:8300"),
            ],
        },
        configuration_index: LogIndex(1),
        size: 0,
    }
}

pub fn archive(state: &[u8]) -> Vec<u8> {
    write(&meta(), NOW, state.chunks(1000).map(<[u8]>::to_vec)).expect("memory")
}

/// Names and contents.
type Members = Vec<(String, Vec<u8>)>;

/// An archive of these members.
fn packed(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, *content).expect("memory");
    }
    gzip(&tar.into_inner().expect("memory"))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(plain).expect("memory");
    gzip.finish().expect("memory")
}

/// The members of an archive, as they are.
fn unpacked(archive: &[u8]) -> Members {
    let mut tar = tar::Archive::new(GzDecoder::new(archive));
    let entries = tar.entries().expect("a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("a member");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content");
            (entry.path().expect("its name").display().to_string(), content)
        })
        .collect()
}

#[test]
fn what_is_saved_can_be_restored() {
    for size in [0, 1, 511, 512, 513, 100_000] {
        let state: Vec<u8> = (0..size).map(|at: u64| ((at * at) >> 3) as u8).collect();
        let bytes = archive(&state);
        let back = read(&bytes).expect("an archive");
        assert_eq!(back.state, state);
        assert_eq!(back.meta, SnapshotMeta { size: state.len() as u64, ..meta() });
        assert_eq!((back.id.as_str(), back.version), ("2-293-1795248692521", 1));
        assert_eq!(archive(&state), bytes, "a function of state and time");
    }
}

#[test]
fn members_are_as_go_writes_them() {
    let members = unpacked(&archive(b"abc"));
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["meta.json", "state.bin", "SHA256SUMS"]);
    let meta = String::from_utf8(members[0].1.clone()).expect("text");
    assert_eq!(
        meta,
        concat!(
            r#"{"Version":1,"ID":"2-293-1795248692521","Index":293,"Term":2,"#,
            r#""Peers":"ka8xMjcuMC4wLjUyOjgzMDA=","Configuration":{"Servers":["#,
            r#"{"Suffrage":0,"ID":"39f003f0","Address":"127.0.0.52:8300"},"#,
            r#"{"Suffrage":1,"ID":"93c5f076","Address":"127.0.0.51:8300"}]},"#,
            r#""ConfigurationIndex":1,"Size":3}"#,
            "\n"
        )
    );
    let sums = String::from_utf8(members[2].1.clone()).expect("text");
    assert!(sums.ends_with(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  state.bin\n"
    ));
}

#[test]
fn servers_without_ids_are_read_from_the_peers() {
    let meta = br#"{"Version":0,"ID":"x","Index":3,"Term":1,"Peers":"kaZhOjgzMDA=","Size":0}"#;
    let sums = format!("{}  meta.json\n{}  state.bin\n", sum(meta), sum(b""));
    let back =
        read(&packed(&[("meta.json", meta), ("state.bin", b""), ("SHA256SUMS", sums.as_bytes())]));
    let servers = back.expect("an old archive").meta.configuration.servers;
    assert_eq!((servers.len(), servers[0].address.as_str()), (1, "a:8300"));
    assert_eq!((servers[0].id.as_str(), servers[0].suffrage), ("a:8300", Suffrage::Voter));
}

fn sum(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_wrong_is_named() {
    let members = unpacked(&archive(b"abc"));
    let repacked = |change: &dyn Fn(&mut Members)| {
        let mut members = members.clone();
        change(&mut members);
        let borrowed: Vec<(&str, &[u8])> =
            members.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
        read(&packed(&borrowed)).expect_err("refused")
    };
    for (at, name) in ["meta.json", "state.bin", "SHA256SUMS"].into_iter().enumerate() {
        let error = repacked(&|members| drop(members.remove(at)));
        assert_eq!(error, ArchiveError::Missing(name));
        let error = repacked(&|members| members.push(members[at].clone()));
        assert_eq!(error, ArchiveError::Twice(name));
    }
    let error = repacked(&|members| members[1].1[0] ^= 1);
    assert_eq!(error, ArchiveError::Checksum("state.bin"));
    let error = repacked(&|members| members[0].1[12] ^= 1);
    assert_eq!(error, ArchiveError::Checksum("meta.json"));
    let error = repacked(&|members| members[2].1.truncate(76));
    assert_eq!(error, ArchiveError::Unlisted("state.bin"));
    let error = repacked(&|members| members[2].1.extend(b"no line\n"));
    assert_eq!(error, ArchiveError::BadList { line: 3 });
    let error = repacked(&|members| members[2].1.extend(format!("{}  x\n", sum(b"")).bytes()));
    assert_eq!(error, ArchiveError::ListedButMissing("x".to_owned()));
    let error = repacked(&|members| members.push(("passwd".to_owned(), Vec::new())));
    assert_eq!(
        error.to_string(),
        "failed to read snapshot file: unexpected file \"passwd\" in snapshot"
    );
    let error = repacked(&|members| {
        members[1].1.push(0);
        let sums =
            format!("{}  meta.json\n{}  state.bin\n", sum(&members[0].1), sum(&members[1].1));
        members[2].1 = sums.into_bytes();
    });
    assert_eq!(error, ArchiveError::Size { announced: 3, found: 4 });
    for junk in [&b"this is no snapshot"[..], b""] {
        let error = read(junk).expect_err("junk").to_string();
        assert!(error.starts_with("failed to decompress snapshot: "), "{error}");
    }
    assert!(matches!(read(&gzip(b"no tar")), Err(ArchiveError::Tar(_) | ArchiveError::Missing(_))));
}

#[test]
fn no_damaged_byte_and_no_missing_end_goes_unnoticed() {
    let bytes = archive(b"the state of a small cluster");
    let good = read(&bytes).expect("an archive");
    let mut unharmed = Vec::new();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        match read(&damaged) {
            Ok(read) if read == good => unharmed.push(at),
            Ok(read) => panic!("byte {at}: {read:?}"),
            Err(_) => {}
        }
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
    }
    // Time, level and system of the gzip header mean nothing, nor do the bits that fill up the last byte
    // before the eight of checksum and length.
    let idle = |at: &usize| (3..10).contains(at) || *at == bytes.len() - 9;
    assert!(unharmed.iter().all(idle), "{unharmed:?} of {}", bytes.len());
}
