//! What few entries have.

/// Something by number (a slot's, a namespace's), for which no memory is taken before the first has it.
#[derive(Debug, Default)]
pub(crate) struct Aside<T>(Vec<T>);

impl<T: Copy + Default> Aside<T> {
    /// A number's; what is by default where none was put.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> T {
        self.0.get(number as usize).copied().unwrap_or_default()
    }

    pub(crate) fn put(&mut self, number: u32, item: T) {
        let place = number as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, T::default());
        }
        self.0[place] = item;
    }

    /// Takes what a number has from it.
    pub(crate) fn forget(&mut self, number: u32) {
        if let Some(item) = self.0.get_mut(number as usize) {
            *item = T::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_has_anything_until_it_is_put_there() {
        let mut aside = Aside::default();
        aside.forget(7);
        assert_eq!((aside.get(7), aside.0.len()), (0, 0));
        aside.put(7, 5);
        assert_eq!([6, 7, 8].map(|number| aside.get(number)), [0, 5, 0]);
        aside.forget(7);
        assert_eq!(aside.get(7), 0);
    }
}
