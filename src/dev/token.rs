//! `chatting-server token`: prints a token as the auth server would issue it, signed with a configured secret.

use std::time::Duration;

use anyhow::Context as _;
use web::auth::Identity;

use super::folder;
use crate::cli::TokenArguments;
use crate::config::Config;

/// The token. The secret is that of `--config`, or of the development system; `CHATTING_AUTH__SECRET` overrides both.
pub fn token(arguments: &TokenArguments) -> anyhow::Result<String> {
    let file = arguments.config.clone().or_else(|| {
        let written = folder::configuration(&arguments.data);
        written.exists().then_some(written)
    });
    let config = Config::load(file.as_deref())?;
    // No role starts with a missing or short secret.
    let secret = &config.auth.secret;
    config
        .auth
        .check_secret()
        .context("there is no secret to sign with: start `chatting-server dev`, or set CHATTING_AUTH__SECRET")?;
    let identity = Identity {
        user_idx: arguments.user,
        nickname: arguments.nickname.clone().unwrap_or_else(|| format!("user{}", arguments.user)),
        email: format!("user{}@example.com", arguments.user),
        scopes: arguments.scopes.clone(),
        attributes: None,
        emotes: None,
    };
    let lifetime = Duration::from_secs(arguments.hours.saturating_mul(60 * 60));
    let longest = config.auth.max_lifetime;
    anyhow::ensure!(
        lifetime <= *longest,
        "--hours {}: roles refuse tokens that live longer than auth.max_lifetime ({longest}): use at most {} hours",
        arguments.hours,
        longest.as_secs() / (60 * 60)
    );
    Ok(web::auth::mint(secret, &identity, lifetime))
}
