//! What is ours and what is not: files, folders and databases of somebody else outlive whatever we do, and are named where they are in the
//! way. Not in here: the rows of an import (`transfer`), and the rules over the source (`architecture`).

mod canaries;
mod copy;
mod interrupted;
mod paths;
mod scratch;
