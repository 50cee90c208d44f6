# SPDX-License-Identifier: Apache-2.0
"""Drives a tyllm-server with a client that another gRPC implementation generated: what the API promises must not
depend on our own library at both ends. Plays client and worker."""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("--server", required=True)
ARGUMENTS.add_argument("--stubs", required=True)
OPTIONS, REST = ARGUMENTS.parse_known_args()
sys.path.insert(0, OPTIONS.stubs)

import grpc  # noqa: E402
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from tyllm.v1 import admin_pb2, admin_pb2_grpc, blobs_pb2, blobs_pb2_grpc, jobs_pb2, jobs_pb2_grpc  # noqa: E402
from tyllm.v1 import types_pb2, workers_pb2, workers_pb2_grpc  # noqa: E402
import reflection_pb2, reflection_pb2_grpc  # noqa: E402

LIMIT = 30  # seconds for any call


def detail(error, kind):
    """The one detail of a kind that an error carries."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    for one in status.details:
        found = kind()
        if one.Unpack(found):
            return found
    raise AssertionError(f"{error.details()}: no {kind.__name__}")


class Server:
    """A server process with a data folder of its own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [OPTIONS.server, "--data", os.path.join(self.folder.name, "data"), "--listen", "127.0.0.1:0", "--http",
             "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.address = dict(part.split("=") for part in line.split()[1:])["grpc"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT)
        self.process.stdout.close()
        self.folder.cleanup()
        return code


class ApiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.channel = grpc.insecure_channel(cls.server.address)
        cls.jobs = jobs_pb2_grpc.JobServiceStub(cls.channel)
        cls.blobs = blobs_pb2_grpc.BlobServiceStub(cls.channel)
        cls.admin = admin_pb2_grpc.AdminServiceStub(cls.channel)
        cls.workers = workers_pb2_grpc.WorkerServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        assert cls.server.stop() == 0

    def put(self, content):
        blob = types_pb2.BlobId(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        messages = [blobs_pb2.UploadRequest(blob=blob, offset=0)]
        messages += [blobs_pb2.UploadRequest(data=content[i:i + 7]) for i in range(0, len(content), 7)]
        self.assertEqual(self.blobs.Upload(iter(messages), timeout=LIMIT).size, len(content))
        return blob

    def put_tree(self, path, content):
        file = self.put(content)
        return self.put(f"tyllm-tree-v1\n{file.sha256} {file.size} - {path}\n".encode())

    def spec(self, **fields):
        return jobs_pb2.JobSpec(kind=jobs_pb2.JOB_KIND_CONVERT, name="demo",
                                model=self.put_tree("config.json", b"{}"), **fields)

    def submit(self, **fields):
        request = jobs_pb2.SubmitJobRequest(request_id=str(uuid.uuid4()), spec=self.spec(no_cache=True, **fields))
        return self.jobs.SubmitJob(request, timeout=LIMIT).job

    def refused(self, call, request, code, reason):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, timeout=LIMIT)
        self.assertEqual(caught.exception.code(), code)
        info = detail(caught.exception, error_details_pb2.ErrorInfo)
        self.assertEqual((info.domain, info.reason), ("tyllm", reason))
        return caught.exception

    def reflect(self, **request):
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(**request)])
        return next(stub.ServerReflectionInfo(asked, timeout=LIMIT))

    def test_reflection_is_enough_to_call_the_server(self):
        services = [one.name for one in self.reflect(list_services="").list_services_response.service]
        for name in ("JobService", "WorkerService", "BlobService", "AdminService"):
            self.assertIn("tyllm.v1." + name, services)
        # A client that was built from nothing but what the server tells.
        pool = descriptor_pool.DescriptorPool()
        seen = set()

        def load(**request):
            for text in self.reflect(**request).file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(text)
                for name in file.dependency:
                    if name not in seen:
                        load(file_by_filename=name)
                if file.name not in seen:
                    seen.add(file.name)
                    pool.Add(file)

        load(file_containing_symbol="tyllm.v1.JobService")
        method = pool.FindServiceByName("tyllm.v1.JobService").FindMethodByName("GetCapabilities")
        factory = message_factory.MessageFactory(pool)
        request = factory.GetPrototype(method.input_type)
        response = factory.GetPrototype(method.output_type)
        call = self.channel.unary_unary("/tyllm.v1.JobService/GetCapabilities",
                                        request_serializer=request.SerializeToString,
                                        response_deserializer=response.FromString)
        self.assertIn("tyllm.v1", call(request(), timeout=LIMIT).api_versions)

    def test_a_job_goes_from_upload_to_result(self):
        job = self.submit(labels={"test": "whole"})
        worker = dict(worker="py", session="s1",
                      capabilities=workers_pb2.Capabilities(device="cpu", slots=1, toolchain_version="1"))
        given = self.workers.Sync(workers_pb2.SyncRequest(wait_ms=20000, **worker), timeout=LIMIT).start[0]
        self.workers.AppendLog(
            workers_pb2.AppendLogRequest(task_id=given.task_id, attempt=given.attempt, worker="py", session="s1",
                                         data=b"one\n"), timeout=LIMIT)
        held = workers_pb2.Held(task_id=given.task_id, attempt=given.attempt, log_bytes=4,
                                succeeded=workers_pb2.Succeeded(output=self.put_tree("out", b"made")))
        answer = self.workers.Sync(workers_pb2.SyncRequest(held=[held], **worker), timeout=LIMIT)
        self.assertEqual(list(answer.acknowledged), [given.task_id])
        ended = self.jobs.WaitJob(jobs_pb2.WaitJobRequest(job_id=job.id, timeout_ms=20000), timeout=LIMIT)
        self.assertTrue(ended.ended)
        self.assertEqual(ended.job.state, jobs_pb2.JOB_STATE_SUCCEEDED)
        events = list(self.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id), timeout=LIMIT))
        numbers = [event.event for event in events if event.event > 0]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        later = list(self.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id, after_event=numbers[-2]),
                                        timeout=LIMIT))
        self.assertEqual([event.event for event in later], numbers[-1:])
        log = b"".join(piece.data for piece in self.jobs.ReadLog(
            jobs_pb2.ReadLogRequest(task_id=given.task_id), timeout=LIMIT))
        self.assertEqual(log, b"one\n")
        tree = ended.job.outputs["model"]
        text = b"".join(piece.data for piece in self.blobs.Download(
            blobs_pb2.DownloadRequest(blob=tree), timeout=LIMIT))
        self.assertEqual(hashlib.sha256(text).hexdigest(), tree.sha256)
        explained = self.jobs.ExplainJob(jobs_pb2.ExplainJobRequest(job_id=job.id), timeout=LIMIT)
        self.assertEqual(explained.tasks[0].attempts[0].ending, jobs_pb2.ATTEMPT_ENDING_SUCCEEDED)
        self.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(job_id=job.id), timeout=LIMIT)
        self.refused(self.jobs.GetJob, jobs_pb2.GetJobRequest(job_id=job.id), grpc.StatusCode.NOT_FOUND, "NOT_FOUND")

    def test_a_request_id_makes_one_job(self):
        request = jobs_pb2.SubmitJobRequest(request_id=str(uuid.uuid4()), spec=self.spec())
        first = self.jobs.SubmitJob(request, timeout=LIMIT).job
        self.assertEqual(self.jobs.SubmitJob(request, timeout=LIMIT).job.id, first.id)
        request.spec.name = "other"
        self.refused(self.jobs.SubmitJob, request, grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")

    def test_many_jobs_go_through_one_call(self):
        requests = [jobs_pb2.SubmitJobRequest(request_id=str(uuid.uuid4()), spec=self.spec()) for _ in range(300)]
        requests[5].spec.kind = jobs_pb2.JOB_KIND_COMPILE
        requests[5].spec.compile.dies = 17
        messages = [jobs_pb2.SubmitJobsRequest(jobs=requests[i:i + 7]) for i in range(0, len(requests), 7)]
        answers = {one.request_id: one for response in self.jobs.SubmitJobs(iter(messages), timeout=LIMIT)
                   for one in response.jobs}
        self.assertEqual(set(answers), {request.request_id for request in requests})
        refused = [one for one in answers.values() if one.WhichOneof("answer") == "error"]
        self.assertEqual([one.request_id for one in refused], [requests[5].request_id])
        self.assertEqual(refused[0].error.code, grpc.StatusCode.INVALID_ARGUMENT.value[0])
        self.assertEqual(len({one.job_id for one in answers.values()}), len(requests))

    def test_errors_tell_programs_what_to_do(self):
        request = jobs_pb2.SubmitJobRequest(request_id="x", spec=self.spec())
        request.spec.kind = jobs_pb2.JOB_KIND_COMPILE
        request.spec.compile.dies = 17
        error = self.refused(self.jobs.SubmitJob, request, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
        self.assertEqual(detail(error, error_details_pb2.BadRequest).field_violations[0].field, "spec.compile.dies")
        request = jobs_pb2.SubmitJobRequest(request_id="y", spec=self.spec())
        request.spec.model.sha256 = "0" * 64
        error = self.refused(self.jobs.SubmitJob, request, grpc.StatusCode.FAILED_PRECONDITION, "MISSING_BLOBS")
        violation = detail(error, error_details_pb2.PreconditionFailure).violations[0]
        self.assertEqual((violation.type, violation.subject.split("/")[1]), ("MISSING", "0" * 64))
        job = self.submit()
        update = jobs_pb2.UpdateJobRequest(job_id=job.id, etag="stale", priority=1)
        update.update_mask.paths.append("priority")
        self.refused(self.jobs.UpdateJob, update, grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        update.etag = job.etag
        self.assertEqual(self.jobs.UpdateJob(update, timeout=LIMIT).job.priority, 1)

    def test_lists_are_filtered_and_come_in_pages(self):
        mark = str(uuid.uuid4())
        ids = [self.submit(labels={"mark": mark}).id for _ in range(3)]
        request = jobs_pb2.ListJobsRequest(page_size=2, labels={"mark": mark}, order=jobs_pb2.JOB_ORDER_OLDEST)
        first = self.jobs.ListJobs(request, timeout=LIMIT)
        request.page_token = first.next_page_token
        second = self.jobs.ListJobs(request, timeout=LIMIT)
        self.assertEqual([job.id for job in list(first.jobs) + list(second.jobs)], ids)
        self.assertEqual(second.next_page_token, "")
        request.order = jobs_pb2.JOB_ORDER_NEWEST
        self.refused(self.jobs.ListJobs, request, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")

    def test_validation_queues_nothing(self):
        before = self.admin.GetServerInfo(admin_pb2.GetServerInfoRequest(), timeout=LIMIT).jobs_by_state
        spec = self.spec(requirements=[types_pb2.Requirement(property="gpu_memory_bytes",
                                                             rule=types_pb2.MATCH_RULE_MINIMUM, value="1")])
        answer = self.jobs.SubmitJob(jobs_pb2.SubmitJobRequest(spec=spec, validate_only=True), timeout=LIMIT)
        self.assertFalse(answer.HasField("job"))
        self.assertIn("NO_WORKER", [problem.reason for problem in answer.validation.problems])
        after = self.admin.GetServerInfo(admin_pb2.GetServerInfoRequest(), timeout=LIMIT).jobs_by_state
        self.assertEqual(dict(before), dict(after))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + REST)
