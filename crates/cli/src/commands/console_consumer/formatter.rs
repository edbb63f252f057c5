//! How a record is printed: the properties of Kafka's DefaultMessageFormatter, and the formatters that take none.

use std::io::{self, Write};

use dohle_client::{ConsumerRecord, Properties};
use dohle_protocol::batch::TimestampType;
use dohle_protocol::wire::DecodeError;

mod group_records;

use group_records::Kind;

#[derive(Debug)]
pub(super) struct Formatter {
    style: Style,
    print_timestamp: bool,
    print_key: bool,
    print_offset: bool,
    print_partition: bool,
    print_delivery: bool,
    print_epoch: bool,
    print_headers: bool,
    print_value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key: Deserializer,
    value: Deserializer,
    header: Deserializer,
}

/// Which of Kafka's formatters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Columns,
    Silent,
    GroupRecords(Kind),
}

#[derive(Debug, thiserror::Error, PartialEq)]
pub(super) enum FormatError {
    #[error("{0} is not available, only the Default-, NoOp-, Offsets- and GroupMetadataMessageFormatter are")]
    UnknownFormatter(String),
    #[error("Could not read record at offset {offset} due to: {reason}")]
    Unreadable { offset: i64, reason: DecodeError },
    #[error("{0} is not available, only the deserializers for byte arrays, strings and numbers are")]
    UnknownDeserializer(String),
    #[error("{found} bytes are not a {expected}")]
    WrongSize { expected: &'static str, found: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deserializer {
    Bytes,
    Short,
    Integer,
    Long,
    Float,
    Double,
}

impl Formatter {
    pub(super) fn new(class: Option<&str>, properties: &Properties) -> Result<Formatter, FormatError> {
        // Some were once nested in another class.
        let style = match class.map(|class| class.rsplit(['.', '$']).next().unwrap_or_default()) {
            None | Some("DefaultMessageFormatter") => Style::Columns,
            Some("NoOpMessageFormatter") => Style::Silent,
            Some("OffsetsMessageFormatter") => Style::GroupRecords(Kind::Offsets),
            Some("GroupMetadataMessageFormatter") => Style::GroupRecords(Kind::Groups),
            Some(_) => return Err(FormatError::UnknownFormatter(class.unwrap_or_default().to_owned())),
        };
        let is_on = |key: &str| properties.is_true(key, false);
        let bytes = |key: &str, default: &str| properties.get(key).unwrap_or(default).as_bytes().to_vec();
        let deserializer = |key: &str| properties.get(key).map_or(Ok(Deserializer::Bytes), Deserializer::named);
        Ok(Formatter {
            style,
            print_timestamp: is_on("print.timestamp"),
            print_key: is_on("print.key"),
            print_offset: is_on("print.offset"),
            print_partition: is_on("print.partition"),
            print_delivery: is_on("print.delivery"),
            print_epoch: is_on("print.epoch"),
            print_headers: is_on("print.headers"),
            print_value: properties.is_true("print.value", true),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null_literal: bytes("null.literal", "null"),
            key: deserializer("key.deserializer")?,
            value: deserializer("value.deserializer")?,
            header: deserializer("headers.deserializer")?,
        })
    }

    /// Fails outside if it cannot be written, inside if the record does not fit its deserializers; then nothing is written.
    pub(super) fn write(&self, record: &ConsumerRecord, out: &mut impl Write) -> io::Result<Result<(), FormatError>> {
        match self.style {
            Style::Columns => {}
            Style::Silent => return Ok(Ok(())),
            Style::GroupRecords(kind) => {
                return match kind.format(record.key.as_ref(), record.value.as_ref()) {
                    Ok(text) => out.write_all(text.as_bytes()).map(Ok),
                    Err(reason) => Ok(Err(FormatError::Unreadable {
                        offset: record.offset,
                        reason,
                    })),
                };
            }
        }
        let columns = match self.columns(record) {
            Ok(columns) => columns,
            Err(error) => return Ok(Err(error)),
        };
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.write_all(&self.key_separator)?;
            }
            out.write_all(column)?;
        }
        if !columns.is_empty() {
            out.write_all(&self.line_separator)?;
        }
        Ok(Ok(()))
    }

    fn columns(&self, record: &ConsumerRecord) -> Result<Vec<Vec<u8>>, FormatError> {
        let mut columns: Vec<Vec<u8>> = Vec::new();
        if self.print_timestamp {
            columns.push(timestamp(record).into_bytes());
        }
        if self.print_partition {
            columns.push(format!("Partition:{}", record.partition).into_bytes());
        }
        if self.print_offset {
            columns.push(format!("Offset:{}", record.offset).into_bytes());
        }
        if self.print_delivery {
            columns.push(b"Delivery:NOT_PRESENT".to_vec());
        }
        if self.print_epoch {
            columns.push(format!("Epoch:{}", record.leader_epoch).into_bytes());
        }
        if self.print_headers {
            columns.push(self.headers(record)?);
        }
        if self.print_key {
            columns.push(self.key.read(record.key.as_deref(), &self.null_literal)?);
        }
        if self.print_value {
            columns.push(self.value.read(record.value.as_deref(), &self.null_literal)?);
        }
        Ok(columns)
    }

    fn headers(&self, record: &ConsumerRecord) -> Result<Vec<u8>, FormatError> {
        if record.headers.is_empty() {
            return Ok(b"NO_HEADERS".to_vec());
        }
        let mut column = Vec::new();
        for (index, header) in record.headers.iter().enumerate() {
            if index > 0 {
                column.extend_from_slice(&self.headers_separator);
            }
            column.extend_from_slice(&header.key);
            column.push(b':');
            column.extend(self.header.read(header.value.as_deref(), &self.null_literal)?);
        }
        Ok(column)
    }
}

fn timestamp(record: &ConsumerRecord) -> String {
    match (record.timestamp_ms, record.timestamp_type) {
        (-1, _) => "NO_TIMESTAMP".to_owned(),
        (ms, TimestampType::CreateTime) => format!("CreateTime:{ms}"),
        (ms, TimestampType::LogAppendTime) => format!("LogAppendTime:{ms}"),
    }
}

impl Deserializer {
    fn named(class: &str) -> Result<Deserializer, FormatError> {
        match class.rsplit('.').next().unwrap_or_default() {
            "ByteArrayDeserializer" | "BytesDeserializer" | "StringDeserializer" => Ok(Deserializer::Bytes),
            "ShortDeserializer" => Ok(Deserializer::Short),
            "IntegerDeserializer" => Ok(Deserializer::Integer),
            "LongDeserializer" => Ok(Deserializer::Long),
            "FloatDeserializer" => Ok(Deserializer::Float),
            "DoubleDeserializer" => Ok(Deserializer::Double),
            _ => Err(FormatError::UnknownDeserializer(class.to_owned())),
        }
    }

    fn read(self, bytes: Option<&[u8]>, null_literal: &[u8]) -> Result<Vec<u8>, FormatError> {
        let Some(bytes) = bytes else { return Ok(null_literal.to_vec()) };
        let number = match self {
            Deserializer::Bytes => return Ok(bytes.to_vec()),
            Deserializer::Short => i16::from_be_bytes(sized(bytes, "short")?).to_string(),
            Deserializer::Integer => i32::from_be_bytes(sized(bytes, "integer")?).to_string(),
            Deserializer::Long => i64::from_be_bytes(sized(bytes, "long")?).to_string(),
            // Java prints 1.0 where Rust's plain form prints 1.
            Deserializer::Float => format!("{:?}", f32::from_be_bytes(sized(bytes, "float")?)),
            Deserializer::Double => format!("{:?}", f64::from_be_bytes(sized(bytes, "double")?)),
        };
        Ok(number.into_bytes())
    }
}

fn sized<const N: usize>(bytes: &[u8], expected: &'static str) -> Result<[u8; N], FormatError> {
    bytes.try_into().map_err(|_| FormatError::WrongSize {
        expected,
        found: bytes.len(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use dohle_protocol::record::Header;

    use super::*;

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: Arc::from("t"),
            partition: 3,
            offset: 42,
            leader_epoch: 5,
            timestamp_ms: 1_000,
            timestamp_type: TimestampType::CreateTime,
            key: Some(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 1, 0])),
            value: Some(Bytes::from_static(b"v\0\xff")),
            headers: vec![
                Header::new("h1", "x"),
                Header {
                    key: Bytes::from("h2"),
                    value: None,
                },
            ],
        }
    }

    fn printed(pairs: &[&str], record: &ConsumerRecord) -> Result<Vec<u8>, FormatError> {
        let mut properties = Properties::default();
        pairs.iter().for_each(|pair| properties.add_pair(pair).unwrap());
        let mut out = Vec::new();
        Formatter::new(None, &properties)?.write(record, &mut out).unwrap()?;
        Ok(out)
    }

    #[test]
    fn c5_by_default_the_value_is_printed_as_it_is() {
        assert_eq!(printed(&[], &record()).unwrap(), b"v\0\xff\n");
        assert_eq!(
            printed(&["null.literal=-"], &ConsumerRecord { value: None, ..record() }).unwrap(),
            b"-\n"
        );
    }

    #[test]
    fn columns_come_in_kafkas_order() {
        let all = [
            "print.key=true",
            "print.timestamp=true",
            "print.offset=true",
            "print.partition=true",
            "print.epoch=true",
            "print.headers=true",
            "key.deserializer=org.apache.kafka.common.serialization.LongDeserializer",
            "key.separator=|",
            "line.separator=;",
        ];
        let line = printed(&all, &record()).unwrap();
        assert_eq!(line, b"CreateTime:1000|Partition:3|Offset:42|Epoch:5|h1:x,h2:null|256|v\0\xff;");
        let bare = ConsumerRecord {
            headers: vec![],
            ..record()
        };
        assert_eq!(
            printed(&["print.headers=true", "print.value=false"], &bare).unwrap(),
            b"NO_HEADERS\n"
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_writes_nothing() {
        let error = printed(&["value.deserializer=LongDeserializer"], &record()).unwrap_err();
        assert_eq!(
            error,
            FormatError::WrongSize {
                expected: "long",
                found: 3
            }
        );
        assert!(printed(&["value.deserializer=my.Deserializer"], &record()).is_err());
        assert!(Formatter::new(Some("my.Formatter"), &Properties::default()).is_err());
        assert!(
            Formatter::new(Some("kafka.tools.NoOpMessageFormatter"), &Properties::default())
                .unwrap()
                .style
                == Style::Silent
        );
    }
}
