"""Files to send, made here: a picture, a sticker, sound, a voice message, and bytes that pass for film and paper."""

import math
import struct
import zlib


def png(width, height, warmth):
    """A picture of a lake beneath a sky; `warmth` of 0 to 255, the colour of the evening, tells one from another."""
    rows = bytearray()
    shore = height * 3 // 5
    for y in range(height):
        rows.append(0)
        # The sky grows warmer towards the shore, and the water is darker the nearer it is.
        near = 255 * y // shore if y < shore else 255 - 200 * (y - shore) // (height - shore)
        sky = (60 + near * warmth // 340, 90 + near // 4, 170 - near // 5)
        for x in range(width):
            if y < shore:
                hill = shore - height // 8 * (1 + math.sin(9 * x / width)) / 2
                rows += bytes((40, 70, 60) if y > hill else sky)
            else:
                glitter = 45 if (x * 7 + y * y) % 61 < 4 else 0
                rows += bytes(part * 2 // 3 + glitter for part in sky)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")


def webp(size, red, green, blue):
    """A square of one colour as lossless WebP: each of its codes has a single symbol, so that no pixel takes a bit."""
    bits, count = 0, 0

    def put(value, width):
        nonlocal bits, count
        bits |= value << count
        count += width

    put(size - 1, 14)
    put(size - 1, 14)
    put(0, 1 + 3)  # no transparency, version 0
    put(0, 3)  # no transformation, no colour cache, one group of codes
    for symbol in (green, red, blue, 255):
        put(0b101, 3)  # simple, one symbol, of eight bits
        put(symbol, 8)
    put(0b0001, 4)  # distances: simple, one symbol, of one bit, 0
    stream = b"\x2f" + bits.to_bytes((count + 7) // 8, "little")
    stream += b"\0" * (len(stream) % 2)
    chunk = b"VP8L" + struct.pack("<I", len(stream)) + stream
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def wav(seconds, pitch):
    """A tone that fades."""
    rate = 8000
    count = rate * seconds
    samples = (128 + round(100 * (1 - n / count) * math.sin(2 * math.pi * pitch * n / rate)) for n in range(count))
    data = bytes(samples)
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    return b"RIFF" + struct.pack("<I", 4 + len(header) + 8 + len(data)) + b"WAVE" + header + b"data" + struct.pack("<I", len(data)) + data


def mp3(seconds):
    """Silence: frames of 104 bytes with nothing in them, 1152 samples each, 32 kbit/s at 44.1 kHz, one channel."""
    return (b"\xff\xfb\x10\xc4" + b"\0" * 100) * (44100 * seconds // 1152)


def ogg(seconds, serial):
    """A voice message that says nothing: Ogg Opus, silence, in packets of 20 ms, 48 samples a millisecond."""
    frames = [b"\xf8\xff\xfe"] * (50 * seconds)
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"demo" + struct.pack("<I", 0)
    pages = [page(serial, 0, 2, 0, [head]), page(serial, 1, 0, 0, [tags])]
    # A page holds at most 255 packets as small as these.
    for number, first in enumerate(range(0, len(frames), 250)):
        packets = frames[first : first + 250]
        end = first + len(packets)
        pages.append(page(serial, 2 + number, 4 if end == len(frames) else 0, end * 960, packets))
    return b"".join(pages)


def page(serial, number, flags, samples, packets):
    """A page of an Ogg stream (RFC 3533, 6), with its checksum."""
    header = struct.pack("<4sBBqII", b"OggS", 0, flags, samples, serial, number)
    sizes = bytes([len(packets)]) + bytes(len(packet) for packet in packets)
    body = b"".join(packets)
    checksum = 0
    for byte in header + b"\0\0\0\0" + sizes + body:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x04C11DB7 if checksum & 0x80000000 else checksum << 1) & 0xFFFFFFFF
    return header + struct.pack("<I", checksum) + sizes + body


def noise(size, seed):
    """Bytes without a pattern, always the same for a seed."""
    out = bytearray()
    while len(out) < size:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        out += struct.pack("<I", seed >> 32)
    return bytes(out[:size])


def mp4(size, seed):
    """Looks like film to whoever only reads how it begins; it does not play."""
    begins = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"isom", 512, b"isom", b"mp42")
    return begins + struct.pack(">I4s", 8 + size, b"mdat") + noise(size, seed)


def pdf(text):
    """A page with one line of text; `text` without brackets."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d>>stream\nBT /F 14 Tf 20 50 Td (%s) Tj ET\nendstream" % (32 + len(text) + 2, text.encode()),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    begin = b"xref\n0 6\n0000000000 65535 f \n" + table
    return out + begin + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(out)


def vcard(name, phone):
    """A contact card."""
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nN:;{name};;;\r\nFN:{name}\r\nTEL;TYPE=CELL:{phone}\r\nEND:VCARD\r\n".encode()


def waveform(count, loudest):
    """The loudness of somebody who says three words."""
    return [round(loudest * abs(math.sin(3 * math.pi * n / count)) * (0.6 + 0.4 * math.cos(n))) for n in range(count)]
