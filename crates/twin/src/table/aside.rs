//! What few entries have.

/// Something by slot, for which no memory is taken before the first slot has it.
#[derive(Debug)]
pub(super) struct Aside<T>(Vec<T>);

impl<T: Copy + Default> Aside<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// A slot's; what is by default where none was put.
    #[inline]
    pub(super) fn get(&self, slot: u32) -> T {
        self.0.get(slot as usize).copied().unwrap_or_default()
    }

    pub(super) fn put(&mut self, slot: u32, item: T) {
        let place = slot as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, T::default());
        }
        self.0[place] = item;
    }

    /// Takes what a slot has from it.
    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(item) = self.0.get_mut(slot as usize) {
            *item = T::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_slot_has_anything_until_it_is_put_there() {
        let mut aside = Aside::new();
        aside.forget(7);
        assert_eq!((aside.get(7), aside.0.len()), (0, 0));
        aside.put(7, 5);
        assert_eq!([6, 7, 8].map(|slot| aside.get(slot)), [0, 5, 0]);
        aside.forget(7);
        assert_eq!(aside.get(7), 0);
    }
}
