"""Flight's DoGet with gRPC's C core, as pyarrow has it, and raw bytes: JSON in, JSON out.

Run with Debian's own interpreter, for that is where its python3-grpcio is. In: address, message (hex), metadata, ca
(a file), timeout (seconds), cancel_after (messages). Out: code, details, sizes, initial, trailers.
"""
import json
import sys

import grpc

DO_GET = "/arrow.flight.protocol.FlightService/DoGet"


def channel(job):
    options = [("grpc.max_receive_message_length", -1)]
    if "ca" not in job:
        return grpc.insecure_channel(job["address"], options)
    with open(job["ca"], "rb") as file:
        return grpc.secure_channel(job["address"], grpc.ssl_channel_credentials(file.read()), options)


def main():
    job = json.load(sys.stdin)
    sizes = []
    with channel(job) as link:
        call = link.unary_stream(DO_GET, bytes, bytes)(
            bytes.fromhex(job["message"]), timeout=job.get("timeout"), metadata=list(job.get("metadata", {}).items()))
        try:
            for message in call:
                sizes.append(len(message))
                if len(sizes) == job.get("cancel_after"):
                    call.cancel()
        except grpc.RpcError:
            pass
        print(json.dumps({"code": call.code().name, "details": call.details(), "sizes": sizes,
                          "initial": dict(call.initial_metadata() or ()),
                          "trailers": dict(call.trailing_metadata() or ())}))


main()
