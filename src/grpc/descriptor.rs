//! Methods from a file descriptor set.

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

use crate::grpc::settings::GrpcType;
use crate::grpc::settings::PreregisteredMethod;

/// Decodes a `google.protobuf.FileDescriptorSet` and returns all its methods, or why it cannot be decoded.
pub(crate) fn methods(encoded: &[u8]) -> Result<Vec<PreregisteredMethod>, String> {
    let set = FileDescriptorSet::decode(encoded).map_err(|error| error.to_string())?;
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let service_name = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            methods.extend(service.method.iter().map(|method| PreregisteredMethod {
                service: service_name.clone(),
                method: method.name().to_owned(),
                kind: kind(method),
            }));
        }
    }
    Ok(methods)
}

fn kind(method: &MethodDescriptorProto) -> GrpcType {
    match (method.client_streaming(), method.server_streaming()) {
        (false, false) => GrpcType::Unary,
        (true, false) => GrpcType::ClientStream,
        (false, true) => GrpcType::ServerStream,
        (true, true) => GrpcType::BidiStream,
    }
}
