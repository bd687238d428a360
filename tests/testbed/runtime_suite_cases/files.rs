//! The disk.

use std::io::ErrorKind;

use proconsul::base::runtime::{Disk, File, Runtime};

use crate::runtime_suite::World;

async fn disk<W: World>(world: &W) -> <W::Host as Runtime>::Disk {
    let disk = world.host(0).disk(&world.folder());
    disk.create_dir_all("").await.unwrap();
    disk
}

async fn create<D: Disk>(disk: &D, path: &str, content: &[u8]) -> D::File {
    let file = disk.open(path, true).await.unwrap();
    file.write_at(0, content).await.unwrap();
    file
}

pub async fn what_was_written_is_read<W: World>(world: W) {
    let disk = disk(&world).await;
    let file = create(&disk, "f", b"hello world").await;
    file.write_at(6, b"there, w").await.unwrap();
    assert_eq!(file.len().await.unwrap(), 14);
    let mut bytes = [0; 5];
    assert_eq!(file.read_at(6, &mut bytes).await.unwrap(), 5);
    assert_eq!(&bytes, b"there");
    drop(file);
    assert_eq!(disk.read("f").await.unwrap(), b"hello there, w");
    let again = disk.open("f", true).await.unwrap();
    assert_eq!(again.len().await.unwrap(), 14, "opening does not truncate");
}

pub async fn reads_end_at_the_end<W: World>(world: W) {
    let disk = disk(&world).await;
    let file = create(&disk, "f", b"abc").await;
    let mut bytes = [0; 8];
    assert_eq!(file.read_at(1, &mut bytes).await.unwrap(), 2);
    assert_eq!(file.read_at(3, &mut bytes).await.unwrap(), 0);
    assert_eq!(file.read_at(1 << 40, &mut bytes).await.unwrap(), 0);
}

pub async fn lengths_are_set_and_gaps_are_zero<W: World>(world: W) {
    let disk = disk(&world).await;
    let file = create(&disk, "f", b"abcdef").await;
    file.set_len(2).await.unwrap();
    file.set_len(4).await.unwrap();
    file.write_at(6, b"g").await.unwrap();
    assert_eq!(disk.read("f").await.unwrap(), b"ab\0\0\0\0g");
}

pub async fn rename_replaces<W: World>(world: W) {
    let disk = disk(&world).await;
    disk.create_dir_all("sub").await.unwrap();
    create(&disk, "new", b"new").await;
    create(&disk, "sub/old", b"old content").await;
    disk.rename("new", "sub/old").await.unwrap();
    assert_eq!(disk.read("sub/old").await.unwrap(), b"new");
    assert_eq!(disk.read("new").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.rename("new", "x").await.unwrap_err().kind(), ErrorKind::NotFound);
}

pub async fn removed_files_are_gone_and_open_ones_live_on<W: World>(world: W) {
    let disk = disk(&world).await;
    let open = create(&disk, "f", b"abc").await;
    disk.remove("f").await.unwrap();
    assert_eq!(disk.remove("f").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.open("f", false).await.err().unwrap().kind(), ErrorKind::NotFound);
    let fresh = disk.open("f", true).await.unwrap();
    assert_eq!(fresh.len().await.unwrap(), 0);
    assert_eq!(open.len().await.unwrap(), 3);
}

pub async fn missing_files_and_folders_are_not_found<W: World>(world: W) {
    let disk = disk(&world).await;
    for (path, create) in [("no", false), ("no/f", false), ("no/f", true)] {
        let error = disk.open(path, create).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(path), "{error}");
    }
    assert_eq!(disk.read_dir("no").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.sync_dir("no").await.unwrap_err().kind(), ErrorKind::NotFound);
}

pub async fn folders_list_their_names_sorted<W: World>(world: W) {
    let disk = disk(&world).await;
    disk.create_dir_all("d/b/deep").await.unwrap();
    for path in ["d/c", "d/a", "d/b/inner", "d-neighbour", "d/b0"] {
        create(&disk, path, b"").await;
    }
    assert_eq!(disk.read_dir("d").await.unwrap(), ["a", "b", "b0", "c"]);
    assert_eq!(disk.read_dir("").await.unwrap(), ["d", "d-neighbour"]);
}

pub async fn syncs_succeed<W: World>(world: W) {
    let disk = disk(&world).await;
    disk.create_dir_all("d").await.unwrap();
    let file = create(&disk, "d/f", b"abc").await;
    file.sync().await.unwrap();
    disk.sync_dir("d").await.unwrap();
    disk.sync_dir("").await.unwrap();
    assert_eq!(disk.read("d/f").await.unwrap(), b"abc");
}

pub async fn paths_stay_below_the_folder<W: World>(world: W) {
    let disk = disk(&world).await;
    for path in ["/etc/passwd", "../up", "a/../../up", ".", "a//b", "a/"] {
        let error = disk.open(path, true).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        assert_eq!(disk.remove(path).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

pub async fn two_handles_see_each_other<W: World>(world: W) {
    let disk = disk(&world).await;
    let (a, b) = (create(&disk, "f", b"").await, disk.open("f", false).await.unwrap());
    a.write_at(0, b"one").await.unwrap();
    b.write_at(3, b"two").await.unwrap();
    let mut bytes = [0; 6];
    assert_eq!(a.read_at(0, &mut bytes).await.unwrap(), 6);
    assert_eq!(&bytes, b"onetwo");
}

pub async fn folders_are_not_files<W: World>(world: W) {
    let disk = disk(&world).await;
    disk.create_dir_all("d").await.unwrap();
    create(&disk, "f", b"abc").await;
    assert_eq!(disk.open("d", false).await.err().unwrap().kind(), ErrorKind::IsADirectory);
    assert_eq!(disk.read_dir("f").await.unwrap_err().kind(), ErrorKind::NotADirectory);
    assert!(disk.create_dir_all("f/sub").await.is_err());
    assert_eq!(disk.open("f/g", true).await.err().unwrap().kind(), ErrorKind::NotADirectory);
}
