//! The rules of a FlinkDeployment, in upstream's order and with upstream's texts.
