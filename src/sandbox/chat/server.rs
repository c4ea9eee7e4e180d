//! A client's connection: a task that reads and a task that writes.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedReceiver},
};

use super::{Desk, login};
use crate::{
    network::interop::wire::{self, Jid, Node, noise::Opener, noise::Sealer},
    sandbox::{
        directory::{Outgoing, Step},
        error::LineError,
        faults::Verdict,
        line::{self, FrameReader, FrameWriter},
        office::Office,
    },
};

/// How long a client may be silent; clients ping every 20 to 30 seconds.
pub(in crate::sandbox) const PATIENCE: Duration = Duration::from_mins(2);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How many stanzas are handled in one step.
const MOST_STANZAS: usize = 256;
/// How many bytes are gathered before they are written.
const MOST_BYTES: usize = 128 * 1024;

/// Accepts clients over TCP until the sandbox ends.
pub(in crate::sandbox) async fn listen(office: Arc<Office>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = office.cancel.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (reader, writer) = line::tcp(stream, PATIENCE);
                let office = office.clone();
                office.tasks.clone().spawn(serve(office, reader, writer));
            }
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one client to its end.
pub(in crate::sandbox) async fn serve(
    office: Arc<Office>,
    mut reader: FrameReader,
    mut writer: FrameWriter,
) {
    let login = login::handshake(&office, &mut reader, &mut writer);
    let (transport, client) = match tokio::time::timeout(HANDSHAKE, login).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client's handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!("a client's handshake took too long");
            return;
        }
    };
    let (mut sealing, opener) = transport.split();
    let client = match client {
        Ok(client) => client,
        Err(code) => {
            let failure = Node::new("failure").with("reason", u64::from(code));
            let sealed = sealing.seal(&wire::pack(&failure));
            if writer.put(&sealed).is_ok() && writer.flush().await.is_ok() {
                writer.close().await;
            }
            return;
        }
    };
    let (sender, outgoing) = mpsc::unbounded_channel();
    let (id, connected) = office.connect(&client.jid, sender.clone(), client.read_receipts);
    let outward = write(
        office.clone(),
        client.jid.clone(),
        writer,
        sealing,
        outgoing,
    );
    let inward = async {
        connected.await.map_err(|_| LineError::Closed)?;
        read(&office, &client, &sender, &mut reader, opener).await
    };
    let outcome = tokio::select! {
        outcome = inward => outcome,
        outcome = outward => outcome,
        () = office.cancel.cancelled() => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::debug!(line = id, %error, "a client's connection ended");
    }
    office.disconnect(&client.jid, id);
}

async fn read(
    office: &Arc<Office>,
    client: &login::Client,
    sender: &mpsc::UnboundedSender<Outgoing>,
    reader: &mut FrameReader,
    mut opener: Opener,
) -> Result<(), LineError> {
    loop {
        let mut stanzas = Vec::new();
        let mut next = Some(reader.frame().await?);
        while let Some(frame) = next {
            let plaintext = opener.open(&frame)?;
            match wire::unpack(&plaintext) {
                Ok(node) => stanzas.push(node),
                Err(error) => tracing::debug!(%error, "a stanza of a client is malformed"),
            }
            next = if stanzas.len() < MOST_STANZAS {
                reader.ready()
            } else {
                None
            };
        }
        let now = office.now().0;
        let ((), done) = office.step(|directory, step: &mut Step| {
            for node in &stanzas {
                Desk {
                    directory,
                    step,
                    me: &client.jid,
                    flavour: client.flavour,
                    sender,
                    now,
                }
                .handle(node);
            }
        });
        // One step at a time a client: what it sends faster waits in its socket.
        done.await.map_err(|_| LineError::Closed)?;
    }
}

async fn write(
    office: Arc<Office>,
    jid: Jid,
    mut writer: FrameWriter,
    mut sealer: Sealer,
    mut outgoing: UnboundedReceiver<Outgoing>,
) -> Result<(), LineError> {
    let faulty = matches!(jid, Jid::Interop { .. }) && !office.plays(&jid);
    let mut held = None;
    while let Some(first) = outgoing.recv().await {
        let mut next = Some(first);
        let mut end = false;
        while let Some(Outgoing::Stanza(mut node)) = next {
            let verdict = if faulty {
                office.faults.judge(&mut node)
            } else {
                Verdict::default()
            };
            if let Some(delay) = verdict.delay {
                writer.flush().await?;
                tokio::time::sleep(delay).await;
            }
            if let Some(before) = &verdict.before {
                writer.put(&sealer.seal(&wire::pack(before)))?;
            }
            if verdict.hold && held.is_none() {
                held = Some(node);
            } else {
                for _ in 0..verdict.copies {
                    writer.put(&sealer.seal(&wire::pack(&node)))?;
                }
                if let Some(late) = held.take() {
                    writer.put(&sealer.seal(&wire::pack(&late)))?;
                }
            }
            end |= verdict.disconnect;
            next = if end || writer.waiting() > MOST_BYTES {
                None
            } else {
                outgoing.try_recv().ok()
            };
        }
        end |= matches!(next, Some(Outgoing::End));
        writer.flush().await?;
        if end {
            writer.close().await;
            return Ok(());
        }
    }
    Ok(())
}
