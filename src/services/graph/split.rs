//! Cuts a text that is longer than a channel takes.

use unicode_segmentation::UnicodeSegmentation as _;

/// The pieces of a text, each of at most `limit` UTF-16 units: no fewer than a channel may count in
/// characters, so that a piece fits however it counts.
///
/// Cut between paragraphs if that leaves no short piece, else lines, sentences, words; never within
/// what a reader sees as one character, unless that alone is longer than `limit`. Whitespace at a cut
/// is dropped and everything else kept. The same text is always cut the same way: the rows of the
/// outbox count on it, also those of earlier programs.
pub(super) fn split(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while units(rest) > limit {
        let cut = cut(rest, limit);
        let (piece, after) = rest.split_at(cut);
        let piece = piece.trim_end();
        if !piece.is_empty() {
            pieces.push(piece);
        }
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Where to cut a text that is too long; never 0.
fn cut(text: &str, limit: usize) -> usize {
    let graphemes = boundaries(text, limit);
    let Some(&end) = graphemes.last() else {
        return within_a_grapheme(text, limit);
    };
    let window = &text[..end];
    // A piece shorter than this is not worth a better place.
    let worth = end / 4..end + 1;
    let last = |places: &mut dyn Iterator<Item = usize>| {
        places
            .filter(|at| worth.contains(at) && graphemes.binary_search(at).is_ok())
            .last()
    };
    last(&mut after(window, "\n\n"))
        .or_else(|| last(&mut after(window, "\n")))
        .or_else(|| last(&mut window.split_sentence_bound_indices().map(|(at, _)| at)))
        .or_else(|| last(&mut after_words(window)))
        .unwrap_or(end)
}

/// The ends of the characters, as a reader sees them, that fit.
fn boundaries(text: &str, limit: usize) -> Vec<usize> {
    let mut fitting = limit;
    let fits = |(at, grapheme): (usize, &str)| {
        fitting = fitting.checked_sub(units(grapheme))?;
        Some(at + grapheme.len())
    };
    text.grapheme_indices(true).map_while(fits).collect()
}

fn within_a_grapheme(text: &str, limit: usize) -> usize {
    let mut taken = 0;
    let end = text.char_indices().find_map(|(at, c)| {
        taken += c.len_utf16();
        (taken > limit && at > 0).then_some(at)
    });
    end.unwrap_or(text.len())
}

fn after<'a>(text: &'a str, what: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(what).map(|(at, found)| at + found.len())
}

fn after_words(text: &str) -> impl Iterator<Item = usize> {
    let spaces = text.char_indices().filter(|(_, c)| c.is_whitespace());
    spaces.map(|(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_fits_is_one_piece_and_a_blank_one_is_none() {
        assert_eq!(split(" hello ", 5), ["hello"]);
        assert_eq!(split(" \n ", 5), Vec::<&str>::new());
    }

    #[test]
    fn the_best_place_that_leaves_no_short_piece_is_taken() {
        assert_eq!(
            split("One two.\n\nThree four. Five\nsix seven", 24),
            ["One two.", "Three four. Five", "six seven"]
        );
        assert_eq!(
            split("First one. Second one. Third", 24),
            ["First one. Second one.", "Third"]
        );
        assert_eq!(
            split("several words without an end", 12),
            ["several", "words", "without an", "end"]
        );
        assert_eq!(split("unbreakable", 4), ["unbr", "eaka", "ble"]);
    }

    #[test]
    fn what_a_reader_sees_as_one_character_stays_whole() {
        let family = "👨‍👩‍👧‍👦"; // 11 units
        let text = family.repeat(3);
        assert_eq!(split(&text, 25), [family.repeat(2), family.to_owned()]);
        // One that is longer than all that fits is cut, for there is no other way.
        let piled = format!("a{}", "\u{301}".repeat(9));
        let pieces = split(&piled, 4);
        assert_eq!(pieces.concat(), piled);
        assert!(pieces.iter().all(|piece| units(piece) <= 4));
    }

    #[test]
    fn units_are_those_of_utf_16() {
        assert_eq!(split("😀😀😀", 4), ["😀😀", "😀"]);
    }

    proptest! {
        #[test]
        fn every_piece_fits_and_nothing_but_whitespace_is_lost(
            text in "([a-zäß中م😀]{0,9}[ \n.!?]{0,3}|\u{301}|👨‍👩‍👧|\r\n){0,60}",
            limit in 12_usize..60,
        ) {
            let pieces = split(&text, limit);
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(bare(&pieces.concat()), bare(&text));
            let ends: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
            for piece in pieces {
                prop_assert!(!piece.is_empty() && units(piece) <= limit);
                let at = piece.as_ptr() as usize - text.as_ptr() as usize;
                let whole = units(piece) == limit || at == 0 || ends.contains(&at)
                    || text[at..].starts_with('\u{301}');
                prop_assert!(whole, "cut within a character at {at}");
            }
        }
    }
}
