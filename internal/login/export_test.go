package login

// OpenEmbeddedWithin is OpenEmbedded with a smaller maximum of the file.
var OpenEmbeddedWithin = openEmbedded
