package mtakit

// Version is the version of the module, as it stands in greetings and Received fields.
const Version = "mtakit/0.1.0"
