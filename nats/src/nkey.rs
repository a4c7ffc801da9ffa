//! An nkey: the Ed25519 key pair of a user. The server knows the public half, and the seed proves it without leaving
//! this process.

use conf::Secret;
use nkeys::{KeyPair, KeyPairType};

/// Err: what is wrong with the seed, without repeating it. An empty one is none.
pub(crate) fn check(seed: &Secret) -> Result<(), &'static str> {
    match KeyPair::from_seed(seed.text()) {
        _ if seed.text().is_empty() => Ok(()),
        Ok(pair) if pair.key_pair_type() == KeyPairType::User => Ok(()),
        Ok(_) => Err("is not the seed of a user, which begins with SU"),
        Err(_) => Err("is not the seed of an nkey: it begins with SU, and has 58 characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_seed_of_a_user_is_taken_and_none_is_shown() {
        let check = |seed: &str| check(&Secret::from(seed.to_owned()));
        assert_eq!(check(""), Ok(()));
        let seed = KeyPair::new_user().seed().unwrap();
        assert_eq!(check(&seed), Ok(()));
        for wrong in [KeyPair::new_account().seed().unwrap(), KeyPair::new_user().public_key(), "SUhunter2".to_owned()]
        {
            let reason = check(&wrong).unwrap_err();
            assert!(reason.contains("SU") && !reason.contains("hunter2"), "{reason}");
        }
    }
}
