//! Netlink messages as trees, to be changed and written again, and as lists of places. Written without a look at the
//! crate's own parser, whose judge it is.

/// `NLA_F_NESTED`, which the kernel sets wherever attributes hold others.
const NESTED: u16 = 0x8000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    /// Flags, sequence, port, then `struct nfgenmsg`: not looked at.
    head: [u8; 14],
    pub(crate) attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) kind: u16,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Plain(Vec<u8>),
    Nested(Vec<Attribute>),
}

impl Attribute {
    pub(crate) fn plain(kind: u16, value: &[u8]) -> Self {
        Self { kind, value: Value::Plain(value.to_vec()) }
    }

    pub(crate) fn nested(kind: u16, inside: Vec<Self>) -> Self {
        Self { kind, value: Value::Nested(inside) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; 4]);
        let flag = match &self.value {
            Value::Plain(value) => {
                out.extend(value);
                0
            }
            Value::Nested(inside) => {
                write_all(inside, out);
                NESTED
            }
        };
        let length = u16::try_from(out.len() - start).unwrap();
        out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        out[start + 2..start + 4].copy_from_slice(&(self.kind | flag).to_ne_bytes());
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

impl Message {
    /// The messages of a datagram.
    pub(crate) fn read(datagram: &[u8]) -> Vec<Self> {
        let mut messages = Vec::new();
        let mut at = 0;
        while at < datagram.len() {
            let length = u32::from_ne_bytes(datagram[at..at + 4].try_into().unwrap()) as usize;
            let message = &datagram[at..at + length];
            messages.push(Self {
                kind: u16_at(message, 4),
                head: message[6..20].try_into().unwrap(),
                attributes: read_attributes(&message[20..]),
            });
            at += length.next_multiple_of(4);
        }
        messages
    }

    /// A message of the kind and attributes given.
    pub(crate) fn of(kind: u16, attributes: Vec<Attribute>) -> Self {
        Self { kind, head: [0; 14], attributes }
    }

    /// The datagram that holds this message alone.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.extend(self.kind.to_ne_bytes());
        out.extend(self.head);
        write_all(&self.attributes, &mut out);
        let length = u32::try_from(out.len()).unwrap();
        out[..4].copy_from_slice(&length.to_ne_bytes());
        out
    }

    /// The attribute at a path; panics where there is none.
    pub(crate) fn at(&mut self, path: &[u16]) -> &mut Value {
        let (outermost, inner) = path.split_first().unwrap();
        let mut value = &mut find(&mut self.attributes, *outermost).value;
        for kind in inner {
            value = &mut find(value.inside(), *kind).value;
        }
        value
    }
}

impl Value {
    /// The attributes that this one holds.
    pub(crate) fn inside(&mut self) -> &mut Vec<Attribute> {
        match self {
            Self::Nested(inside) => inside,
            Self::Plain(_) => panic!("holds no attributes"),
        }
    }
}

fn write_all(attributes: &[Attribute], out: &mut Vec<u8>) {
    for attribute in attributes {
        attribute.write(out);
    }
}

fn find(attributes: &mut [Attribute], kind: u16) -> &mut Attribute {
    attributes.iter_mut().find(|attribute| attribute.kind == kind).unwrap()
}

fn read_attributes(bytes: &[u8]) -> Vec<Attribute> {
    let read = |place: Place| {
        let value = &bytes[place.header + 4..place.header + place.length];
        let kind = place.path[0];
        if place.is_nested { Attribute::nested(kind, read_attributes(value)) } else { Attribute::plain(kind, value) }
    };
    row(bytes, 0, &[]).into_iter().map(read).collect()
}

/// Where an attribute lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Types from the outermost inwards.
    pub(crate) path: Vec<u16>,
    /// Offset of its header in the datagram.
    pub(crate) header: usize,
    /// What its length field says.
    pub(crate) length: usize,
    /// Where that which holds it ends.
    pub(crate) end: usize,
    pub(crate) is_nested: bool,
}

/// Where the attributes of a datagram of one message lie, at every depth.
pub(crate) fn places(datagram: &[u8]) -> Vec<Place> {
    let mut places = row(&datagram[20..], 20, &[]);
    let mut next = 0;
    while let Some(place) = places.get(next).cloned() {
        if place.is_nested {
            let inside = place.header + 4;
            places.extend(row(&datagram[inside..place.header + place.length], inside, &place.path));
        }
        next += 1;
    }
    places
}

fn row(bytes: &[u8], offset: usize, outer: &[u16]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (length, kind) = (usize::from(u16_at(bytes, at)), u16_at(bytes, at + 2));
        let path = [outer, &[kind & !NESTED]].concat();
        let is_nested = kind & NESTED != 0;
        places.push(Place { path, header: offset + at, length, end: offset + bytes.len(), is_nested });
        at += length.next_multiple_of(4);
    }
    places
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}
