//! Which key asks for what.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use plimsoll_top::{Press, View};

/// What a key asks for; `None` for one that asks for nothing.
pub(super) fn press(key: KeyEvent) -> Option<Press> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if is_control => Press::Quit,
        KeyCode::Char(_) if is_control => return None,
        KeyCode::Char('q') => Press::Quit,
        KeyCode::Esc => Press::Back,
        KeyCode::Up | KeyCode::Char('k') => Press::Up,
        KeyCode::Down | KeyCode::Char('j') => Press::Down,
        KeyCode::Left | KeyCode::Char('h') => Press::Left,
        KeyCode::Right | KeyCode::Char('l') => Press::Right,
        KeyCode::PageUp => Press::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Press::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Press::First,
        KeyCode::End | KeyCode::Char('G') => Press::Last,
        KeyCode::Enter => Press::Open,
        KeyCode::Tab => Press::NextView,
        KeyCode::BackTab => Press::PreviousView,
        KeyCode::Char('s') => Press::Sort,
        KeyCode::Char('p') => Press::Pause,
        KeyCode::Char('?') => Press::Help,
        KeyCode::Char(digit) => {
            Press::Show(*View::ALL.get(usize::try_from(digit.to_digit(10)?.checked_sub(1)?).ok()?)?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_out_is_one() {
        let of = |code, modifiers| press(KeyEvent::new(code, modifiers));
        assert_eq!(of(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Press::Quit));
        assert_eq!(of(KeyCode::Char('q'), KeyModifiers::NONE), Some(Press::Quit));
        assert_eq!(of(KeyCode::Esc, KeyModifiers::NONE), Some(Press::Back));
        assert_eq!(of(KeyCode::Char('c'), KeyModifiers::NONE), None);
    }

    #[test]
    fn views_go_by_their_numbers_and_no_other_number_is_one() {
        let of = |digit| press(KeyEvent::new(KeyCode::Char(digit), KeyModifiers::NONE));
        assert_eq!(of('1'), Some(Press::Show(View::Overview)));
        assert_eq!(of('4'), Some(Press::Show(View::Findings)));
        assert_eq!([of('0'), of('5'), of('9')], [None; 3]);
    }
}
