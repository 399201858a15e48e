//! Having memory come nearer before it is needed.

/// Asks the processor for an item of up to two cache lines, and goes on without waiting. On other processors than x86-64 the
/// item comes when it is used.
#[inline]
pub fn fetch<T>(item: &T) {
    fetch_at(std::slice::from_ref(item), 0);
}

/// The same, of an item in the midst of others. Where there are fewer it asks for nothing that matters: who has computed a place
/// need not look whether it is one.
#[inline]
pub fn fetch_at<T>(items: &[T], place: usize) {
    let item = items.as_ptr().wrapping_add(place).cast::<u8>();
    ask_for(item);
    // It may begin in the midst of one.
    if size_of::<T>() > align_of::<T>() {
        ask_for(item.wrapping_add(size_of::<T>() - 1));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code)]
fn ask_for(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: whatever the address, a prefetch changes nothing that a program could see, and never faults (Intel SDM, PREFETCHh). It is
    // of SSE, which every x86-64 has.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
const fn ask_for(_: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_as_it_was() {
        let items = vec![[7_u8; 100]; 10];
        items.iter().for_each(fetch);
        fetch(&items[0][..0].first());
        for place in [0, 9, 10, usize::MAX] {
            fetch_at(&items, place);
        }
        assert!(items.iter().flatten().all(|byte| *byte == 7));
    }
}
