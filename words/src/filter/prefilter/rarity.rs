//! How rare letters are in English, so that the prefilter looks for those of a word that few texts have.

/// For each letter, how rare each other one is behind it: 0 for the most frequent pair, one more for half as many. A
/// repeated letter counts once. Counted in chat and in the documents of this project.
const PAIRS: [&[u8; 26]; 26] = [
    b"94328434374201749221356636",
    b"49992999599399399469499949",
    b"39993890492467299564599979",
    b"46691868368678399038659659",
    b"06129467587231535002734347",
    b"49894987398599299374589999",
    b"48982994599677199558599989",
    b"19970799299881299575599969",
    b"45333447996331368411839886",
    b"79966899899999699959699999",
    b"57983999599895699848799989",
    b"25841788299979289845288949",
    b"35842859399798349746699959",
    b"38312618495579089832569858",
    b"54315236584321949022243869",
    b"39993997499389199355699979",
    b"99999999999999999999499999",
    b"27440758395555299931447939",
    b"29551973385667349791195959",
    b"38490790299688269329585958",
    b"55254647596453819333999968",
    b"49991999399999799988999999",
    b"38573993299795399669999999",
    b"79688999699999969995999999",
    b"58983996798877369945998998",
    b"69996999699999999999999999",
];

/// How rare these adjacent letters are, from `a` to `z` as 1 to 26. What is no letter counts as the rarest.
pub(super) fn rarity(letters: [u64; 4]) -> u32 {
    let index = |letter: u64| usize::try_from(letter).ok()?.checked_sub(1);
    let pair = |pair: &[u64]| PAIRS.get(index(pair[0])?)?.get(index(pair[1])?).copied();
    letters.windows(2).map(|letters| u32::from(pair(letters).unwrap_or(b'9') - b'0')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_frequent_words_are_less_rare_than_those_where_two_words_meet() {
        let of = |text: &str| rarity([0, 1, 2, 3].map(|at| u64::from(text.as_bytes()[at] & 31)));
        assert!(of("that") < of("back") && of("back") < of("tbac") && of("tbac") < of("wjob"));
        assert!(of("ming") < of("umin"));
        assert_eq!(rarity([27, 0, 31, 26]), 27, "what is no letter is rare");
    }
}
