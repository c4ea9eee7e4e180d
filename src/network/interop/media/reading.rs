//! A fetched file, decrypted as it is read.

use std::{
    io::{self, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    fs,
    io::{AsyncReadExt as _, AsyncSeekExt as _, Take},
};

use super::{BLOCK, CHUNK, corrupt, work::WorkFile};
use crate::{
    domain::{MediaKey, MediaKind},
    network::{
        ByteStream, MediaError,
        interop::wire::media::{Decryptor, MediaFault},
    },
};

/// What is to be decrypted: all but the MAC.
#[derive(Clone)]
pub(super) struct Ciphertext {
    pub(super) work: Arc<WorkFile>,
    pub(super) length: u64,
    pub(super) key: MediaKey,
    pub(super) kind: MediaKind,
    /// The hash of the file.
    pub(super) sha256: [u8; 32],
}

impl Ciphertext {
    /// The size of the file, which its last block tells.
    pub(super) async fn size(&self) -> Result<u64, MediaError> {
        let from = self.length.saturating_sub(2 * BLOCK as u64);
        let read = async {
            let mut file = fs::File::open(self.work.path()).await?;
            file.seek(SeekFrom::Start(from)).await?;
            let mut blocks = Vec::new();
            file.take(self.length - from)
                .read_to_end(&mut blocks)
                .await?;
            Ok(blocks)
        };
        let mut blocks = read.await.map_err(MediaError::Disk)?;
        // The block before it is all that the last one needs; it comes out only when another follows.
        blocks.extend_from_slice(&[0; BLOCK]);
        let plain = Decryptor::new(&self.key, self.kind).update(&blocks);
        let padding = plain.last().copied().unwrap_or(0);
        if !(1..=BLOCK).contains(&usize::from(padding)) {
            return Err(corrupt(MediaFault::Padding));
        }
        Ok(self.length - u64::from(padding))
    }

    /// The file as it is decrypted. The last of it comes only if the whole is what was announced.
    pub(super) fn bytes(self) -> ByteStream {
        stream::once(self.open())
            .map_ok(|open| stream::try_unfold(Some(Box::new(open)), next))
            .try_flatten()
            .boxed()
    }

    async fn open(self) -> io::Result<Open> {
        Ok(Open {
            file: fs::File::open(self.work.path()).await?.take(self.length),
            decryptor: Decryptor::new(&self.key, self.kind),
            held: Vec::new(),
            of: self,
        })
    }
}

/// A file that is being read.
struct Open {
    /// Keeps the file on the disk.
    of: Ciphertext,
    file: Take<fs::File>,
    decryptor: Decryptor,
    /// What was decrypted last, held back until more is.
    held: Vec<u8>,
}

/// The next of a file; `None` when all of it came.
async fn next(open: Option<Box<Open>>) -> io::Result<Option<(Bytes, Option<Box<Open>>)>> {
    let Some(mut open) = open else {
        return Ok(None);
    };
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = open.file.read(&mut buffer).await?;
        if count == 0 {
            let Open {
                of,
                decryptor,
                mut held,
                ..
            } = *open;
            let rest = decryptor
                .finish(&of.sha256)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            held.extend_from_slice(&rest);
            return Ok((!held.is_empty()).then(|| (held.into(), None)));
        }
        let plain = open.decryptor.update(&buffer[..count]);
        if plain.is_empty() {
            continue;
        }
        let before = std::mem::replace(&mut open.held, plain);
        if !before.is_empty() {
            return Ok(Some((before.into(), Some(open))));
        }
    }
}
