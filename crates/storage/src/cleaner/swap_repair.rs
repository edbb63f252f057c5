//! Swaps that a crash has interrupted are finished, or taken back, when their log is opened. The rules are Apache Kafka's, so that each
//! server repairs what the other one has left.

use std::io;
use std::path::Path;

use dohle_protocol::id::Offset;

use crate::disk::{DirEntry, Disk, EntryKind};
use crate::file_name;
use crate::retention;
use crate::scan::{Scan, ScanError};

/// Files named by an offset, which a suffix marks as unfinished.
struct Marked<'a> {
    name: &'a str,
    /// Without the suffix.
    plain: &'a str,
    base_offset: Offset,
    extension: &'a str,
}

/// Removes `.deleted` and `.cleaned` files, finishes swaps, and returns what is in the directory then.
pub(crate) fn finish_swaps(disk: &dyn Disk, dir: &Path, entries: Vec<DirEntry>) -> io::Result<Vec<DirEntry>> {
    let mut swaps = marked(&entries, file_name::SWAP);
    let cleaned = marked(&entries, file_name::CLEANED);
    let deleted = marked(&entries, file_name::DELETED);
    for file in &deleted {
        retention::remove(disk, &dir.join(file.name));
    }
    if swaps.is_empty() && cleaned.is_empty() {
        return Ok(entries
            .into_iter()
            .filter(|entry| !entry.name.ends_with(file_name::DELETED))
            .collect());
    }
    // Not yet decided when the crash came. First, for as long as a `.cleaned` file is there they are worth nothing.
    if let Some(undecided) = cleaned.iter().map(|file| file.base_offset).min() {
        for file in swaps.extract_if(.., |file| file.base_offset >= undecided) {
            disk.remove_file(&dir.join(file.name))?;
        }
    }
    for file in &cleaned {
        disk.remove_file(&dir.join(file.name))?;
    }
    for swap in swaps.iter().filter(|file| file.extension == file_name::LOG) {
        let end = end_of(disk, &dir.join(swap.name), swap.base_offset)?;
        tracing::info!(path = %dir.join(swap.name).display(), end = end.0, "finishing the swap of a cleaned segment");
        for entry in &entries {
            let is_replaced = |(offset, extension): (Offset, &str)| {
                (swap.base_offset..end).contains(&offset) && file_name::SEGMENT.contains(&extension) && entry.kind == EntryKind::File
            };
            if file_name::parse(&entry.name).is_some_and(is_replaced) {
                disk.remove_file(&dir.join(&entry.name))?;
            }
        }
    }
    // The logs last: until then, the next start does all of this again.
    swaps.sort_by_key(|file| file.extension == file_name::LOG);
    for swap in &swaps {
        disk.rename(&dir.join(swap.name), &dir.join(swap.plain))?;
    }
    disk.sync_dir(dir)?;
    disk.list(dir)
}

fn marked<'a>(entries: &'a [DirEntry], suffix: &str) -> Vec<Marked<'a>> {
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    let marked = files.filter_map(|entry| {
        let plain = entry.name.strip_suffix(suffix)?;
        let (base_offset, extension) = file_name::parse(plain)?;
        Some(Marked {
            name: &entry.name,
            plain,
            base_offset,
            extension,
        })
    });
    marked.collect()
}

/// Offset after the last batch of a segment that was synced before it got its name.
fn end_of(disk: &dyn Disk, path: &Path, base_offset: Offset) -> io::Result<Offset> {
    let file = disk.file(path.to_owned());
    let size = file.len()?;
    let mut scan = Scan::new(&*file, 0, size, base_offset);
    let mut end = base_offset;
    loop {
        match scan.next_header() {
            Ok(Some((_, header))) => end = header.next_offset(),
            Ok(None) => return Ok(end),
            Err(ScanError::Io(error)) => return Err(error),
            // Nothing is lost: what it was made from is still there, or it is as good as a damaged segment without a suffix.
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        }
    }
}
