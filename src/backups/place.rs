//! Where backups are put: a folder, or anything that speaks S3.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::ExposeSecret;

use super::{Error, PlaceOptions};

/// How long to wait for a connection, and for one request of at most one part.
const CONNECT: Duration = Duration::from_secs(10);
const REQUEST: Duration = Duration::from_mins(5);
/// How long one request is tried again before the job is.
const RETRY: Duration = Duration::from_mins(2);
const RETRIES: usize = 4;

/// One place, by its name in the settings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Place {
    name: Arc<str>,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Folder(PathBuf),
    Bucket {
        store: Arc<dyn ObjectStore>,
        prefix: Path,
    },
}

/// What reads and writes, and under which path.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
}

impl Place {
    /// Opens one. Connects when it is first used.
    pub fn open(name: &str, options: &PlaceOptions) -> Result<Self, Error> {
        let form = match options {
            PlaceOptions::Folder { path } => Form::Folder(path.clone()),
            PlaceOptions::S3 { .. } => bucket(name, options)?,
        };
        Ok(Self {
            name: name.into(),
            form,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder, if it is one of this machine.
    pub const fn folder(&self) -> Option<&PathBuf> {
        match &self.form {
            Form::Folder(folder) => Some(folder),
            Form::Bucket { .. } => None,
        }
    }

    /// What reads and writes. A folder that is not there is made, for its owner alone.
    pub(super) fn store(&self) -> Result<Opened, Error> {
        match &self.form {
            Form::Folder(folder) => {
                private_folder(folder)?;
                let what = format!("opening the folder of backups {}", folder.display());
                let store =
                    LocalFileSystem::new_with_prefix(folder).map_err(|e| self.failed(&what, &e))?;
                Ok(Opened {
                    store: Arc::new(store.with_fsync(true)),
                    prefix: Path::default(),
                })
            }
            Form::Bucket { store, prefix } => Ok(Opened {
                store: Arc::clone(store),
                prefix: prefix.clone(),
            }),
        }
    }

    /// What a failure there means.
    pub(super) fn failed(&self, what: &str, error: &object_store::Error) -> Error {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            let told = inner.to_string();
            if !reason.contains(&told) {
                reason = format!("{reason}: {told}");
            }
            source = inner.source();
        }
        Error::Unavailable {
            what: format!("place {}: {what}", self.name),
            reason,
        }
    }
}

/// A folder that nobody but its owner looks into.
pub(super) fn private_folder(folder: &std::path::Path) -> Result<(), Error> {
    let shown = folder.display();
    let created = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    created.map_err(Error::io(format!("making the folder {shown}")))?;
    let mode = std::fs::metadata(folder)
        .map_err(Error::io(format!("looking at the folder {shown}")))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        let problem = format!(
            "the folder {shown} lets others in (mode {:o}): chmod 700 {shown}",
            mode & 0o777
        );
        return Err(Error::setting("backups.places", problem));
    }
    Ok(())
}

fn bucket(name: &str, options: &PlaceOptions) -> Result<Form, Error> {
    let PlaceOptions::S3 {
        bucket,
        prefix,
        region,
        endpoint,
        allow_http,
        access_key_id,
        secret_access_key,
    } = options
    else {
        unreachable!("only called with a bucket");
    };
    // The client asks for the process-wide provider of TLS; an earlier choice by somebody else stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new()
        .with_allow_http(*allow_http)
        .with_connect_timeout(CONNECT)
        .with_timeout(REQUEST);
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES,
        retry_timeout: RETRY,
    };
    // The server itself refuses a part that is not what was sent.
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_client_options(client)
        .with_retry(retry)
        .with_checksum_algorithm(Checksum::SHA256);
    if !endpoint.is_empty() {
        builder = builder.with_endpoint(endpoint);
    }
    if !access_key_id.is_empty() {
        builder = builder
            .with_access_key_id(access_key_id)
            .with_secret_access_key(secret_access_key.expose_secret());
    }
    let key = format!("backups.places.{name}");
    let store = builder
        .build()
        .map_err(|e| Error::setting(key.clone(), e.to_string()))?;
    let prefix = Path::parse(prefix.trim_matches('/'))
        .map_err(|e| Error::setting(format!("{key}.prefix"), e.to_string()))?;
    Ok(Form::Bucket {
        store: Arc::new(store),
        prefix,
    })
}
