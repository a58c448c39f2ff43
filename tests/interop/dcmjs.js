// A peer made with dcmjs-dimse. Orders come as JSON on standard input.
//
//   dcmjs.js call PORT FOLDER     calls GANTRY as DCMJS and prints as JSON what it was answered
//     service      echo, store, find, move, get or commitment
//     files        to store
//     keys         the identifier of a find by keyword, at study level
//     study        to move or to get; what a get brings is kept in FOLDER, each file under its SOP Instance UID
//     destination  of a move
//     instances    to commit to: [SOP class, SOP instance]
//     tls          {key, certificate, ca}: files, to call by TLS
//   dcmjs.js serve PORT FOLDER    an archive with what is in FOLDER, where it keeps what it is sent
//     viewer       the port that it moves to, whatever the move destination
//     tls          as above: it listens by TLS, and demands a certificate
//
// Data sets go through the library's own model: they are read, and written anew.
"use strict";
const fs = require("fs");
const path = require("path");
const dcmjs = require("dcmjs-dimse");

const { Client, Dataset, PresentationContext, Scp, Server } = dcmjs;
const requests = dcmjs.requests;
const responses = dcmjs.responses;
const { PresentationContextResult, SopClass, Status, TransferSyntax } = dcmjs.constants;
dcmjs.log.setLevel("error");

const COMMITMENT = "1.2.840.10008.1.20.1";
const COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1";
const SYNTAXES = [TransferSyntax.ExplicitVRLittleEndian, TransferSyntax.ImplicitVRLittleEndian];
const [mode, port, folder] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const orders = JSON.parse(fs.readFileSync(0, "utf8"));
const uidOf = (dataset) => dataset.getElement("SOPInstanceUID");

function securityOptions() {
  if (!orders.tls) return undefined;
  const [key, cert, ca] = [orders.tls.key, orders.tls.certificate, orders.tls.ca].map((file) => fs.readFileSync(file));
  return { key, cert, ca, requestCert: true, rejectUnauthorized: true };
}

function keep(dataset) {
  // Whole under its name or not there.
  const aside = path.join(folder, `.${uidOf(dataset)}`);
  dataset.toFile(aside);
  fs.renameSync(aside, path.join(folder, uidOf(dataset)));
}

/** A client's requests, done; what each was answered goes to `told`. */
function perform(client, to, title, list, told, linger) {
  return new Promise((resolve, reject) => {
    for (const request of list) {
      request.on("response", told);
      client.addRequest(request);
    }
    client.on("networkError", reject);
    client.on("associationRejected", () => reject(new Error("rejected")));
    client.on("closed", resolve);
    client.send("127.0.0.1", to, "DCMJS", title, {
      securityOptions: securityOptions(),
      associationLingerTimeout: linger,
    });
  });
}

function requestsOf() {
  switch (orders.service) {
    case "echo":
      return [new requests.CEchoRequest()];
    case "store":
      return orders.files.map((file) => new requests.CStoreRequest(file));
    case "find":
      return [requests.CFindRequest.createStudyFindRequest(orders.keys)];
    case "move":
      return [requests.CMoveRequest.createStudyMoveRequest(orders.destination, orders.study)];
    case "get":
      return [requests.CGetRequest.createStudyGetRequest(orders.study)];
    case "commitment": {
      const request = new requests.NActionRequest(COMMITMENT, COMMITMENT_INSTANCE, 1);
      request.setDataset(
        new Dataset({
          TransactionUID: Dataset.generateDerivedUid(),
          ReferencedSOPSequence: orders.instances.map(([sopClass, instance]) => ({
            ReferencedSOPClassUID: sopClass,
            ReferencedSOPInstanceUID: instance,
          })),
        })
      );
      return [request];
    }
  }
  throw new Error(`no service ${orders.service}`);
}

async function call() {
  const client = new Client();
  const told = { statuses: [], rows: [], committed: [], failed: [] };
  client.on("cStoreRequest", (request, answer) => {
    keep(request.getDataset());
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(Status.Success);
    answer(response);
  });
  client.on("nEventReportRequest", (request, answer) => {
    const items = (name) => [].concat(request.getDataset().getElement(name) || []);
    told.committed = items("ReferencedSOPSequence").map((item) => item.ReferencedSOPInstanceUID);
    told.failed = items("FailedSOPSequence").map((item) => item.ReferencedSOPInstanceUID);
    const response = responses.NEventReportResponse.fromRequest(request);
    response.setStatus(Status.Success);
    answer(response);
  });
  // The report comes over the association of the request, which is to be there still.
  const linger = orders.service === "commitment" ? 1000 : 0;
  await perform(client, port, "GANTRY", requestsOf(), (response) => {
    told.statuses.push(response.getStatus());
    if (orders.service === "find" && response.hasDataset()) told.rows.push(response.getDataset().getElements());
  }, linger);
  console.log(JSON.stringify(told));
}

class Archive extends Scp {
  associationRequested(association) {
    this.association = association;
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const accepted = SYNTAXES.find((syntax) => context.hasTransferSyntaxUid(syntax));
      if (accepted) context.setResult(PresentationContextResult.Accept, accepted);
      else context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
    }
    this.sendAssociationAccept();
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }

  cEchoRequest(request, answer) {
    answer(succeeded(responses.CEchoResponse, request));
  }

  cStoreRequest(request, answer) {
    keep(request.getDataset());
    answer(succeeded(responses.CStoreResponse, request));
  }

  cFindRequest(request, answer) {
    const keys = request.getDataset().getElements();
    const wanted = (text, key) => !key || new RegExp(`^${String(key).replace(/\*/g, ".*")}$`).test(text);
    const studies = new Map(matching({}).map((dataset) => [dataset.getElement("StudyInstanceUID"), dataset]));
    const rows = [...studies.values()].filter((dataset) => wanted(nameOf(dataset), nameOf(request.getDataset())));
    const pending = rows.map((dataset) => {
      const response = responses.CFindResponse.fromRequest(request);
      const returned = { QueryRetrieveLevel: keys.QueryRetrieveLevel };
      for (const keyword of ["PatientName", "PatientID", "StudyInstanceUID", "StudyDate"]) {
        if (keyword in keys) returned[keyword] = dataset.getElement(keyword);
      }
      response.setDataset(new Dataset(returned));
      response.setStatus(Status.Pending);
      return response;
    });
    answer([...pending, succeeded(responses.CFindResponse, request)]);
  }

  cMoveRequest(request, answer) {
    const found = matching(request.getDataset().getElements());
    const list = found.map((dataset) => new requests.CStoreRequest(dataset));
    let completed = 0;
    const told = (response) => (completed += Number(response.getStatus() === Status.Success));
    perform(new Client(), orders.viewer, "GANTRY", list, told, 0)
      .catch(() => {})
      .then(() => answer([counted(responses.CMoveResponse, request, found.length, completed)]));
  }

  cGetRequest(request, answer) {
    const found = matching(request.getDataset().getElements());
    let [answered, completed] = [0, 0];
    const list = found.map((dataset) => {
      const store = new requests.CStoreRequest(dataset);
      store.on("response", (response) => {
        answered += 1;
        completed += Number(response.getStatus() === Status.Success);
        if (answered === found.length) answer([counted(responses.CGetResponse, request, found.length, completed)]);
      });
      return store;
    });
    this.sendRequests(list);
  }

  nActionRequest(request, answer) {
    const asked = request.getDataset();
    answer(succeeded(responses.NActionResponse, request));
    const known = new Set(matching({}).map(uidOf));
    const items = [].concat(asked.getElement("ReferencedSOPSequence"));
    const [kept, lost] = [true, false].map((is) => items.filter((item) => known.has(item.ReferencedSOPInstanceUID) === is));
    const report = new requests.NEventReportRequest(COMMITMENT, COMMITMENT_INSTANCE, lost.length ? 2 : 1);
    const told = { TransactionUID: asked.getElement("TransactionUID"), ReferencedSOPSequence: kept.map(reference) };
    if (lost.length) told.FailedSOPSequence = lost.map((item) => ({ ...reference(item), FailureReason: 0x0112 }));
    report.setDataset(new Dataset(told));
    this.sendRequests(report);
  }
}

const reference = (item) => ({
  ReferencedSOPClassUID: item.ReferencedSOPClassUID,
  ReferencedSOPInstanceUID: item.ReferencedSOPInstanceUID,
});

function succeeded(kind, request) {
  const response = kind.fromRequest(request);
  response.setStatus(Status.Success);
  return response;
}

function counted(kind, request, meant, completed) {
  const response = succeeded(kind, request);
  if (completed < meant) response.setStatus(Status.ProcessingFailure);
  response.setCompleted(completed);
  response.setFailures(meant - completed);
  response.setRemaining(0);
  response.setWarnings(0);
  return response;
}

/** A name as text, also where the library makes an object of it. */
function nameOf(dataset) {
  const name = [].concat(dataset.getElement("PatientName") ?? "")[0];
  return String(name.Alphabetic ?? name);
}

function matching(keys) {
  const names = fs.readdirSync(folder).filter((name) => !name.startsWith("."));
  const all = names.map((name) => Dataset.fromFile(path.join(folder, name)));
  const unique = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"].filter((keyword) => keys[keyword]);
  return all.filter((dataset) => unique.every((keyword) => [].concat(keys[keyword]).includes(dataset.getElement(keyword))));
}

if (mode === "serve") {
  new Server(Archive).listen(port, { securityOptions: securityOptions() });
} else {
  call().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
