//! Memory by huge pages.

use std::mem::MaybeUninit;

/// The huge pages of most machines. Where they are larger, fewer are had.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Asks for huge pages behind memory that is not used yet. In a virtual machine a page that the processor does not remember is
/// looked for in two tables, and what is read here and there in much memory waits for that: six times as long as with huge
/// pages. The kernel does as it likes (`transparent_hugepage/enabled`).
#[allow(unsafe_code)]
pub fn prefer_huge_pages<T>(room: &mut [MaybeUninit<T>]) {
    let bytes = size_of_val(room);
    let begin = room.as_mut_ptr().cast::<u8>();
    let unaligned = begin.align_offset(HUGE_PAGE_BYTES);
    let length = bytes.saturating_sub(unaligned) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if length == 0 {
        return;
    }
    // SAFETY: the range lies within `room`, which is borrowed for writing, and MADV_HUGEPAGE changes neither what memory holds nor
    // who may use it (madvise(2)). It begins at a page, as pages are no larger than huge ones.
    // That it is refused changes nothing.
    let _ = unsafe { libc::madvise(begin.wrapping_add(unaligned).cast(), length, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_as_it_was_wherever_it_lies() {
        for bytes in [0, 1, 4096, HUGE_PAGE_BYTES, 3 * HUGE_PAGE_BYTES + 5] {
            let mut room: Vec<u8> = Vec::with_capacity(bytes);
            prefer_huge_pages(room.spare_capacity_mut());
            room.resize(bytes, 7);
            assert!(room.iter().all(|byte| *byte == 7));
        }
    }
}
